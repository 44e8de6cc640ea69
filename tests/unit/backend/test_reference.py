"""Names of images, with the registry and tag that stores keep."""

import pytest

from backend.errors import InvalidValueError
from backend.model.reference import DOCKER, LOCAL, full_name, without_digest


@pytest.mark.parametrize(
    ("name", "of_docker", "of_nowhere"),
    [
        ("alpine", "docker.io/library/alpine:latest", "localhost/alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3", "localhost/alpine:3"),
        ("me/thing", "docker.io/me/thing:latest", "localhost/me/thing:latest"),
        ("quay.io/me/thing:1", "quay.io/me/thing:1", "quay.io/me/thing:1"),
        ("localhost/mine", "localhost/mine:latest", "localhost/mine:latest"),
        ("reg:5000/a__b/c-d:T.1", "reg:5000/a__b/c-d:T.1", "reg:5000/a__b/c-d:T.1"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        (
            "quay.io/a@sha256:" + "0" * 64,
            "quay.io/a@sha256:" + "0" * 64,
            "quay.io/a@sha256:" + "0" * 64,
        ),
    ],
)
def test_a_name_gets_what_it_lacks(name: str, of_docker: str, of_nowhere: str) -> None:
    assert full_name(name, registry=DOCKER) == of_docker
    assert full_name(name, registry=LOCAL) == of_nowhere


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "../../x",
        "a//b",
        "Upper",
        "a:b:c",
        "a b",
        "a\n",
        "a:",
        "x/" * 200 + "y",
        "a@sha256:1",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="image name"):
        full_name(name, registry=LOCAL)


def test_an_archive_carries_no_digest_in_a_name() -> None:
    assert without_digest("quay.io/a:1@sha256:00") == "quay.io/a:1"
