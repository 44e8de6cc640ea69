"""Which IDs belong to a user beside the user's own: /etc/subuid and /etc/subgid (pure).

Used by: drivers.linux.userns, drivers.idmap.subids. Knows nothing of: files, the kernel.
"""

from drivers.idmap.maps import IDMap, is_number


def ranges_of(text: str, uid: int, name: str) -> tuple[IDMap, ...]:
    """Map container IDs from 1 on to the ranges that *text* gives to a user, lowest first.

    Lines are ``USER:FIRST:COUNT``, where USER is a name or a number; others are passed over. The
    name "ALL" means every user.
    """
    found = []
    for line in text.splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and (name == "ALL" or words[0] in {name, str(uid)}):
            first, count = words[1:]
            if is_number(first) and is_number(count):
                found.append((int(first), int(count)))
    ranges, next_id = [], 1
    for start, size in sorted(found):
        if size:
            ranges.append(IDMap(next_id, start, size))
            next_id += size
    return tuple(ranges)
