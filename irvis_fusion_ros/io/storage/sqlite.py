"""
SQLite files of rosbag2, whole or not, with what a killed recorder left in the files beside them.

The rows are listed first, by the table and not by its index, and then read one by one: what a damaged page
holds is lost, and nothing else.
"""

import shutil
import sqlite3
import tempfile
import urllib.parse
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io.storage.base import Channel, Message, are_few, is_latched, type_name
from irvis_fusion_ros.io.storage.compression import LARGEST

MAGIC = b'SQLite format 3\0'
# Changes that are not in the file yet: of a write-ahead log, or of a transaction that was not finished.
COMPANIONS = ('-wal', '-journal')
_TABLES = ('topics', 'messages', 'metadata', 'message_definitions')
_MOST_TOPICS = 10_000
# Rows that are tried one by one behind a damaged page, a second in all.
_MOST_FAILURES = 50_000


class SqliteFile:
    """A SQLite file as `base.Storage`. Raises BagError if nothing can be read of it."""

    def __init__(self, path: Path):
        self.path = path
        self.notes: list[str] = []
        self.losses: list[str] = []
        self.metadata = ''  # what rosbag2 stores of its metadata.yaml
        self._folder: tempfile.TemporaryDirectory | None = None
        self._rows = [array('q'), array('q'), array('q')]  # time, identifier and topic
        try:
            self._database = self._opened()
            self._check_tables()
            self._channels = self._topics()
            self.metadata = self._stated()
            self._list()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            self.close()
            reason = ' '.join(str(error).split())
            raise BagError(f"cannot read the bag file '{path}': {reason}{self._hint()}") from error
        except BaseException:
            self.close()
            raise
        self._sum_up()

    def close(self) -> None:
        """Close the file."""
        if getattr(self, '_database', None) is not None:
            self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def channels(self) -> list[Channel]:
        """The topics of the file."""
        return list(self._channels.values())

    def confine(self, start: int, stop: int) -> None:
        """See `base.Storage`."""
        outside = sum(not start <= time < stop for time in self._rows[0])
        # what a killed recorder left is later than what it stated before
        if not self._folder and not self.notes and are_few(outside, len(self._rows[0])):
            self.start, self.stop = max(self.start, start), min(self.stop, stop)
            self.losses.append(f"'{self.path.name}': {outside} messages with a time outside of the recording")

    def messages(self, topics: frozenset[str], start: int, stop: int) -> Iterator[Message]:
        """See `base.Storage`."""
        times, identifiers, numbers = self._rows
        wanted = {number for number, channel in self._channels.items() if channel.topic in topics}
        start, stop = max(start, self.start), min(stop, self.stop)
        order = [
            row for row in range(len(times)) if start <= times[row] < stop and numbers[row] in wanted
        ]  # fmt: skip
        order.sort(key=times.__getitem__)
        for row in order:
            try:
                found = self._database.execute(
                    'SELECT data FROM messages WHERE rowid = ?', (identifiers[row],)
                ).fetchone()
            except (sqlite3.Error, MemoryError) as error:
                self.losses.append(f"'{self.path.name}': row {identifiers[row]} cannot be read ({error})")
                continue
            if found is None or not isinstance(found[0], bytes):
                self.losses.append(f"'{self.path.name}': row {identifiers[row]} holds no message")
                continue
            yield Message(times[row], self._channels[numbers[row]], found[0])

    def _opened(self) -> sqlite3.Connection:
        companions = [
            Path(f'{self.path}{suffix}')
            for suffix in COMPANIONS
            if (beside := Path(f'{self.path}{suffix}')).exists() and beside.stat().st_size
        ]
        if not companions:
            # without `immutable`, SQLite wants to write beside a file on a medium that is read-only
            return self._connected(self.path, 'mode=ro&immutable=1')
        self.notes.append(
            f"'{self.path.name}': its recorder was killed; what lies in '{companions[0].name}' is read, too"
        )
        try:
            database = self._connected(self.path, 'mode=ro')
            database.execute('SELECT count(*) FROM sqlite_master').fetchone()
            return database
        except sqlite3.OperationalError:
            # an unfinished transaction, or a folder that cannot be written to: tidied up in a copy
            self._folder = tempfile.TemporaryDirectory(prefix='irvis_bag_')
            try:
                for file in (self.path, *companions):
                    shutil.copyfile(file, Path(self._folder.name) / file.name)
            except OSError as error:
                raise BagError(
                    f"cannot read the bag file '{self.path}' with '{companions[0].name}': "
                    f'no copy of them can be made in {tempfile.gettempdir()} ({error.strerror})'
                ) from error
            return self._connected(Path(self._folder.name) / self.path.name, 'mode=rw')

    def _connected(self, path: Path, options: str) -> sqlite3.Connection:
        name = urllib.parse.quote(str(path.absolute()))
        database = sqlite3.connect(f'file:{name}?{options}', uri=True, check_same_thread=False)
        database.text_factory = lambda text: text.decode('utf-8', 'replace')
        database.execute('PRAGMA trusted_schema = OFF')
        if hasattr(database, 'setlimit'):  # from Python 3.11 on
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * LARGEST)
        return database

    def _check_tables(self) -> None:
        """Raise ValueError where a table computes what is read from it: a view need not end."""
        kinds = dict(
            self._database.execute(f'SELECT name, type FROM sqlite_master LIMIT {_MOST_TOPICS}').fetchall()
        )
        for name in _TABLES:
            columns = self._database.execute(f'PRAGMA table_xinfo({name})').fetchall()
            if kinds.get(name, 'table') != 'table' or any(column[-1] for column in columns):
                raise ValueError(f"'{name}' is computed, not stored")

    def _hint(self) -> str:
        beside = [
            Path(f'{self.path}{suffix}').name
            for suffix in COMPANIONS
            if Path(f'{self.path}{suffix}').exists()
        ]
        return f" (with '{beside[0]}' beside it)" if beside else ''

    def _topics(self) -> dict[int, Channel]:
        definitions = self._definitions()
        cursor = self._database.execute(f'SELECT rowid, * FROM topics LIMIT {_MOST_TOPICS}')
        names = [column[0] for column in cursor.description]
        topics = {}
        for values in cursor:
            row: dict[str, Any] = dict(zip(names, values, strict=True))
            topics[values[0]] = Channel(
                str(row.get('name', '')),
                type_name(str(row.get('type', ''))),
                str(row.get('serialization_format', 'cdr')),
                is_latched(str(row.get('offered_qos_profiles', ''))),
                definitions.get(row.get('type'), ''),
            )
        return topics

    def _definitions(self) -> dict[str, str]:
        try:
            return dict(
                self._database.execute(
                    'SELECT topic_type, encoded_message_definition FROM message_definitions '
                    f'LIMIT {_MOST_TOPICS}'
                )
            )
        except sqlite3.Error:
            return {}  # older files have none

    def _stated(self) -> str:
        try:
            found = self._database.execute('SELECT metadata FROM metadata ORDER BY rowid DESC').fetchone()
        except sqlite3.Error:
            return ''  # older files have none
        return str(found[0]) if found else ''

    def _list(self) -> None:
        """List the rows; where a page is damaged, from the first row on that can be read again."""
        last, missing, cause = self._last_identifier(), 0, ''
        # a damaged tree of pages may lead to the same rows again and again; every row takes some bytes
        most = self._most_rows()
        following, failures = None, 0
        while following is None or (following <= last and failures < _MOST_FAILURES):
            try:
                condition = '' if following is None else f'WHERE rowid >= {following}'
                for identifier, topic, time in self._database.execute(
                    f'SELECT rowid, topic_id, timestamp FROM messages NOT INDEXED {condition} LIMIT {most}'
                ):
                    following = identifier + 1
                    if isinstance(time, int) and topic in self._channels:
                        for values, value in zip(self._rows, (time, identifier, topic), strict=True):
                            values.append(value)
                    else:
                        missing, cause = missing + 1, 'their topic or time is none'
                break
            except sqlite3.DatabaseError as error:
                missing, failures, cause = missing + 1, failures + 1, str(error)
                if len(self._rows[0]) >= most:
                    break
                following = (following or 0) + 1
        if len(self._rows[0]) + missing >= most:
            self.losses.append(f"'{self.path.name}': it leads to more rows than it can hold")
        if missing:
            self.losses.append(f"'{self.path.name}': {missing} rows cannot be read ({cause})")

    def _last_identifier(self) -> int:
        try:
            return self._database.execute('SELECT max(rowid) FROM messages').fetchone()[0] or 0
        except sqlite3.DatabaseError:
            return min(self._most_rows(), 1_000_000)

    def _most_rows(self) -> int:
        return 1000 + sum(
            file.stat().st_size // 16
            for file in (self.path, *(Path(f'{self.path}{suffix}') for suffix in COMPANIONS))
            if file.exists()
        )

    def _sum_up(self) -> None:
        times, _, numbers = self._rows
        self.counts = Counter()
        for number, count in Counter(numbers).items():
            self.counts[self._channels[number].topic] += count
        try:
            (indexed,) = self._database.execute(
                'SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY timestamp_idx '
                f'LIMIT {self._most_rows()})'
            ).fetchone()
        except sqlite3.Error:
            indexed = 0
        if indexed > len(times) and not self.losses:
            self.losses.append(f"'{self.path.name}': {indexed - len(times)} rows of its index are missing")
        self.start = min(times, default=0)
        self.stop = max(times, default=-1) + 1
