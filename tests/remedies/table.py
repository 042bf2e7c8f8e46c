"""Messages that name a step: what brings each up, and the step done, as code or as a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Action = str | Callable[[], object]
BAD = "userId,movieId,rating\n" + "".join(
    f"{row % 7},{row % 5},{'x' if row == 3 else row % 5 + 1}\n" for row in range(30)
)
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"{user},{movie},{(user * movie) % 5 + 1},{900_000_000 + 86_400 * (user + movie)}\n"
    for user in range(30)
    for movie in range(12)
    if (user + movie) % 3
)
MOVIES = "movieId,title,genres\n" + "".join(f"{movie},Film {movie} ({1990 + movie}),Drama\n" for movie in range(12))
UNTIMED = "userId,movieId,rating\n" + "".join(f"{row % 9},{row % 7},{row % 5 + 1}\n" for row in range(63))


@dataclass(frozen=True)
class Remedy:
    """A part of a message, what brings it up in a folder with these files, and what its step makes of that."""

    says: str
    wrong: Action
    right: Action
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        for name, content in {
            "ratings.csv": RATINGS,
            "movies.csv": MOVIES,
            "untimed.csv": UNTIMED,
            **self.files,
        }.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
