"""Keep jobs and their files on disk, so that a killed server loses none; it decides nothing about them."""

import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Self

from filelock import FileLock, Timeout

from sfumato.errors import OutputError, SettingsError
from sfumato.io import write_bytes
from sfumato.jobs.job import FINISHED, Job, Part, from_json, to_json

DATABASE = "jobs.sqlite3"
FILES = "files"
LOCK = "lock"
RESULT = "result"
LAYERS = "layers"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    waited_for INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT
"""


class Store:
    """Jobs by id and a folder of files for each; safe to share between threads, and held by one process.

    Raises:
        SettingsError: another server holds the folder.
        OutputError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        with _refusing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / FILES).mkdir(mode=0o700, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise SettingsError(
                    f"another sfumato serve uses {folder}; stop it, or name another folder with --state"
                ) from error
            self._database = sqlite3.connect(folder / DATABASE, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA secure_delete=ON")  # what is forgotten is not left in free pages
            self._database.execute(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; what is in it stays for the next."""
        with self._mutex:
            self._database.close()
        self._lock.release()

    def folder_of(self, id: str) -> Path:
        """Return the folder of a job's files; the id is one that this program made."""
        return self._folder / FILES / id

    def file_of(self, id: str, part: Part) -> Path | None:
        """Return an uploaded file, or None where there is none."""
        path = self.folder_of(id) / part
        return path if path.is_file() else None

    def add(self, job: Job, uploads: Mapping[Part, BinaryIO]) -> None:
        """Note a job and keep what was uploaded for it; when this returns, it outlives the process.

        Raises:
            OutputError: there is no space; then nothing is left behind.
        """
        folder = self.folder_of(job.id)
        try:
            with _refusing(self._folder):
                folder.mkdir(mode=0o700)
                for part, stream in uploads.items():
                    with (folder / part).open("xb") as file:
                        shutil.copyfileobj(stream, file, 1 << 20)
            self.put(job)
        except OutputError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def put(self, job: Job) -> None:
        """Note what has become of a job.

        Raises:
            OutputError: there is no space.
        """
        row = (job.id, job.state, job.created, job.expires, job.waited_for, to_json(job))
        with self._mutex, _refusing(self._folder):
            self._database.execute("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?)", row)

    def find(self, id: str) -> Job | None:
        """Return a job by its id, or None."""
        with self._mutex:
            row = self._database.execute("SELECT document FROM job WHERE id = ?", (id,)).fetchone()
        return from_json(row[0]) if row else None

    def unfinished(self) -> list[Job]:
        """Return the jobs that were accepted and have not ended, in order of age."""
        marks = ", ".join("?" * len(FINISHED))
        query = f"SELECT document FROM job WHERE state NOT IN ({marks}) ORDER BY created"
        with self._mutex:
            rows = self._database.execute(query, tuple(FINISHED)).fetchall()
        return [from_json(document) for (document,) in rows]

    def expired(self, now: float) -> list[str]:
        """Return the ids of the jobs whose time is over."""
        with self._mutex:
            rows = self._database.execute("SELECT id FROM job WHERE expires <= ?", (now,)).fetchall()
        return [id for (id,) in rows]

    def recover(self) -> list[Job]:
        """Return the jobs to be done after a restart, all queued; what only a lost client waited for is forgotten.

        Files that belong to no job, as of uploads that were broken off, are removed, and uploads of jobs that ended.
        """
        for job in self.unfinished():
            if job.waited_for:
                self.forget(job.id)
            else:
                self.put(replace(job, state="queued", started=None))
        known = self._ids()
        left = self.unfinished()
        for folder in (self._folder / FILES).iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.name not in {job.id for job in left}:
                self.drop_uploads(folder.name)
        return left

    def drop_uploads(self, id: str) -> None:
        """Remove what was uploaded for a job, and half-written results; finished results stay."""
        folder = self.folder_of(id)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_file() and path.name != RESULT:
                path.unlink(missing_ok=True)

    def keep_result(self, id: str, data: bytes, layers: Mapping[str, bytes]) -> None:
        """Keep the encoded result of a job and its layers.

        Raises:
            OutputError: there is no space.
        """
        folder = self.folder_of(id)
        try:
            for name, layer in layers.items():
                (folder / LAYERS).mkdir(exist_ok=True)
                write_bytes(layer, folder / LAYERS / f"{name}.png", overwrite=True)
            write_bytes(data, folder / RESULT, overwrite=True)
        except (OutputError, OSError) as error:
            raise OutputError("the server cannot keep the result; free some space on its disk") from error

    def drop_files(self, id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.folder_of(id), ignore_errors=True)

    def forget(self, id: str) -> None:
        """Remove a job and its files.

        Raises:
            OutputError: there is no space to note it; the files are gone all the same.
        """
        self.drop_files(id)
        with self._mutex, _refusing(self._folder):
            self._database.execute("DELETE FROM job WHERE id = ?", (id,))

    def _ids(self) -> frozenset[str]:
        with self._mutex:
            return frozenset(id for (id,) in self._database.execute("SELECT id FROM job"))


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turn what the system and the database refuse into one line; ids and names of files stay out of it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(f"the server cannot write into its folder ({error}); free some space") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        space = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free some space" if space else f"choose a folder that may be written to, not {folder}"
        raise OutputError(f"the server cannot write into its folder: {reason}; {remedy}") from error
