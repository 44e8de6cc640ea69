"""``storagefs check`` and ``repair``.

Used by: backend.cli.command. Knows nothing of: what can be wrong, and how it is mended.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from backend.cli.gofindings import left_of, sentence
from backend.cli.progress import Progress
from backend.cli.request import Request
from backend.errors import InvalidValueError
from backend.model.findings import Depth, Finding, Plan, Report, Step

if TYPE_CHECKING:
    from backend.store import Store

_DEPTHS: Final = {depth.name.lower(): depth for depth in Depth}
_DAY: Final = "24h"

_MEMBER: Final = {
    ("layer", False): "Layers",
    ("layer", True): "ROLayers",
    ("image", False): "Images",
    ("image", True): "ROImages",
    ("container", False): "Containers",
    ("store", False): "Store",
}
"""Kind, and whether it is in an additional store, to the member of the Go tool's JSON."""

Groups = Mapping[str, Mapping[str, Sequence[Finding]]]
"""Member to ID to what is wrong with that object, or with a layer that it needs."""


def check(request: Request) -> int:
    """Tell what is wrong; with --repair mend it as the Go tool does, by deleting what is broken."""
    values = request.values
    force = values.on("force")
    mend = values.on("repair") or force
    with request.open_store(read_only=not mend) as store:
        report = _report(request, store, Depth.DIGESTS if values.on("quick") else Depth.FILES)
        groups = _grouped(report, store)
        _show(request, report, groups)
        if mend:
            return _mend(request, store, store.plan_repair(report, containers=force))
    if report.sound:
        return 0
    counts = (
        f"{len(groups[member])} {'read-only ' * read_only}{kind}s"
        for (kind, read_only), member in _MEMBER.items()
        if kind != "store"
    )
    rest = ", and files of the store itself" if groups[_MEMBER["store", False]] else ""
    request.output.error(f"damaged: {', '.join(counts)}{rest}", "see storagefs repair")
    return 1


def repair(request: Request) -> int:
    """Show the smallest steps that mend what a check finds; with --apply take them.

    Exit code 0 says that there was nothing to do, or that it is done.
    """
    values, output = request.values, request.output
    apply = values.on("apply")
    with request.open_store(read_only=not apply) as store:
        report = _report(request, store, Depth.FILES)
        plan = store.plan_repair(report, containers=values.on("containers"))
        if request.json:
            output.json([_step_members(step) for step in plan.steps])
        else:
            output.lines(f"{_step(step)}: {step.why}" for step in plan.steps)
        if apply:
            return _mend(request, store, plan)
        return max(_say_what_is_left(request, store, plan), 1 if plan.steps else 0)


def _report(request: Request, store: "Store", depth: Depth) -> Report:
    values = request.values
    named = values.text("depth")
    if named and named not in _DEPTHS:
        raise InvalidValueError("--depth", named, f"it is none of {', '.join(_DEPTHS)}")
    with Progress(request.output, "checking") as progress:
        return store.check(
            _DEPTHS.get(named, depth),
            unreferenced_age=_age(values.text("max") or _DAY),
            tell=progress.show,
        )


def _age(text: str) -> float:
    from backend.codec import goduration

    try:
        return goduration.seconds(text)
    except ValueError as error:
        raise InvalidValueError("--max", text, str(error)) from None


def _mend(request: Request, store: "Store", plan: Plan) -> int:
    """Take the steps of *plan*; what fails is said, and the rest is done all the same."""
    with Progress(request.output, "repairing") as progress:
        done = store.repair(plan.steps, tell=lambda step: progress.show(_step(step)))
    failed = [(step, error) for step, error in done if error]
    for step, error in failed:
        request.output.error(f"{_step(step)}: {error}")
    return max(_say_what_is_left(request, store, plan), 1 if failed else 0)


def _say_what_is_left(request: Request, store: "Store", plan: Plan) -> int:
    holders = store.cached().containers.by_layer
    for finding in plan.left:
        holder = holders.get(finding.id)
        text = left_of(finding, holder.id if holder else "")
        remedy = finding.remedy
        if holder:
            remedy = f"storagefs repair --apply --containers deletes container {holder.id[:12]}"
        request.output.error(f"{text}: no step mends it", remedy)
    return 1 if plan.left else 0


def _grouped(report: Report, store: "Store") -> Groups:
    """What harms somebody, by object; that of a layer also under those who need the layer."""
    groups: dict[str, defaultdict[str, list[Finding]]] = {
        member: defaultdict(list) for member in _MEMBER.values()
    }
    broken: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if not finding.is_note:
            groups[_MEMBER[finding.kind, finding.read_only]][finding.id].append(finding)
            if finding.kind == "layer":
                broken[finding.id].append(finding)
    layers = store.snapshot().layers
    for member, identifier, top in _users(store) if broken else ():
        for layer in layers.chain(top):
            groups[member][identifier] += broken.get(layer.id, ())
    return {
        member: {identifier: findings for identifier, findings in group.items() if findings}
        for member, group in groups.items()
    }


def _show(request: Request, report: Report, groups: Groups) -> None:
    """Notes are for people, who see them, and for JSON; scripts see what is wrong."""
    notes = [finding for finding in report.findings if finding.is_note]
    if request.json:
        objects: dict[str, object] = {
            member: {identifier: list(map(_members, found)) for identifier, found in group.items()}
            for member, group in groups.items()
        }
        request.output.json({**objects, "Notes": list(map(_members, notes))})
    else:
        request.output.lines(_text(groups))
        if request.output.terminal:
            request.output.lines(f"note: {sentence(note)}" for note in notes)


def _users(store: "Store") -> Iterator[tuple[str, str, str]]:
    """Images and containers: member, ID, top layer."""
    snapshot = store.snapshot()
    for image in snapshot.images:
        if image.layer:
            yield _MEMBER["image", image.read_only], image.id, image.layer
    for container in snapshot.containers:
        yield _MEMBER["container", False], container.id, container.layer


def _text(groups: Groups) -> Iterator[str]:
    for (kind, read_only), member in _MEMBER.items():
        for identifier, findings in groups[member].items():
            yield f"{'read-only ' * read_only}{kind} {identifier}".rstrip() + ":"
            yield from (f" {sentence(finding)}" for finding in findings)


def _members(finding: Finding) -> Mapping[str, str]:
    return {
        "kind": finding.kind,
        "id": finding.id,
        "fault": finding.fault.value,
        "path": finding.path,
        "reason": finding.reason,
        "remedy": finding.remedy,
    }


def _step_members(step: Step) -> Mapping[str, str]:
    return {"action": step.action.name.lower().replace("_", "-"), "id": step.id, "why": step.why}


def _step(step: Step) -> str:
    return f"{step.action.value} {step.id}"
