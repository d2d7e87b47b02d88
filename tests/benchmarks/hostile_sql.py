"""Random malformed and hostile SQL against the engine: no write, no read outside, no crash.

    python tests/benchmarks/hostile_sql.py [--number 10000] [--seed 0]

Known attacks with their paths varied, wrapped and mutated by a seeded generator. Before and after, every file of the
catalogue and beside it is hashed; a secret file outside must not show in any answer. Every error must be a UsageError.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from wsipipe.errors import UsageError
from wsipipe.query.catalogue import bucket_writer
from wsipipe.query.columns import PER_SLIDE, stored_schema
from wsipipe.query.engine import Engine, show
from wsipipe.query.limits import bounded_memory

SECRET = "correct-horse-battery-staple"
ATTACKS = (
    "COPY tiles TO '{p}'",
    "COPY tiles TO '{p}' (FORMAT parquet, USE_TMP_FILE false)",
    "COPY (SELECT 1) TO '{p}' (FORMAT csv)",
    "COPY tiles FROM '{p}'",
    "EXPORT DATABASE '{p}'",
    "IMPORT DATABASE '{p}'",
    "ATTACH '{p}' AS other",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD '{p}'",
    "SELECT * FROM read_text('{p}')",
    "SELECT * FROM read_blob('{p}')",
    "SELECT * FROM read_csv('{p}', header = false)",
    "SELECT * FROM read_json('{p}')",
    "SELECT * FROM read_parquet('{p}')",
    "SELECT * FROM parquet_metadata('{p}')",
    "SELECT * FROM sniff_csv('{p}')",
    "SELECT * FROM glob('{p}*')",
    "SELECT * FROM '{p}'",
    "WITH a AS (COPY tiles TO '{p}' (USE_TMP_FILE false)) SELECT * FROM a",
    "WITH a AS (WITH b AS (COPY tiles TO '{p}') SELECT * FROM b) SELECT * FROM a",
    "WITH a AS (INSERT INTO slides SELECT * FROM slides RETURNING *) SELECT * FROM a",
    "WITH a AS (DELETE FROM slides RETURNING *) SELECT * FROM a",
    "EXPLAIN COPY tiles TO '{p}'",
    "EXPLAIN ANALYZE COPY tiles TO '{p}' (USE_TMP_FILE false)",
    "EXPLAIN ANALYZE WITH a AS (COPY tiles TO '{p}') SELECT * FROM a",
    "SELECT * FROM query('WITH a AS (COPY tiles TO ''{p}'' (USE_TMP_FILE false)) SELECT * FROM a')",
    "SELECT * FROM system.main.query('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO m(a) AS a",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "CALL enable_logging('QueryLog', storage = 'file', storage_path = '{p}')",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{p}')",
    "CHECKPOINT",
    "VACUUM",
    "USE other",
    "DROP VIEW tiles",
    "PREPARE q AS SELECT 1",
    "EXECUTE q",
    "PIVOT tiles ON slide_id USING count(*)",
    "BEGIN",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT 1; COPY tiles TO '{p}'",
    "SELECT 1 /* ; */ ; DROP TABLE slides",
    "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
    "SELECT repeat('x', 4000000000)",
    "SELECT list(i) FROM range(10000000000) t(i)",
    "SELECT sleep_ms(100000)",
    "SELECT length(lpad('x', 2000000000, 'y'))",
    "SELECT format('{:>2000000000}', 'a')",
    "WITH RECURSIVE r AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM r) SELECT max(length(s)) FROM r",
    "SELECT a" + ".a" * 3000 + " FROM tiles",
    "SELECT 1" + "+1" * 20_000,
    "SELECT 1" + " UNION ALL SELECT 1" * 3000,
    "SELECT 1" + " INTERSECT SELECT 1" * 3000,
    "SELECT count(*) FROM slides" + ", slides" * 5000,
    "SELECT * FROM parquet_kv_metadata('{p}')",
    "SELECT * FROM read_ndjson_objects('{p}')",
    "SELECT * FROM which_secret('{p}', 's3')",
    "SELECT * FROM force_checkpoint('memory')",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT write_log('a')",
    "FROM (COPY tiles TO '{p}')",
    "SELECT (DELETE FROM slides RETURNING slide_id)",
    "INSERT INTO slides VALUES ('x')",
    "UPDATE slides SET slide_id = 'x'",
    "DELETE FROM slides",
    "TRUNCATE slides",
    "ALTER TABLE slides ADD COLUMN x INT",
    "MERGE INTO slides USING slides AS o ON true WHEN MATCHED THEN DELETE",
    "COMMENT ON TABLE slides IS 'x'",
    "FROM tiles",
    "VALUES (1)",
    "SUMMARIZE tiles",
    "DESCRIBE tiles",
    "SELECT slide_id, count(*) FROM tiles GROUP BY 1",
    "EXPLAIN SELECT * FROM tiles",
    "SELECT nope FROM tiles",
    "",
    "--",
)
SLOW = 4
"""One in so many of the bombs is kept: each takes the whole time limit."""
WORDS = (
    "SELECT",
    "FROM",
    "tiles",
    "(",
    ")",
    ";",
    "--",
    "/*",
    "*/",
    "'",
    '"',
    "$$",
    "COPY",
    "\x00",
    "Ω",
    "\u202e",
    "😀",
    ",",
    "WITH",
    "TO",
)
BOMBS = ("RECURSIVE", "repeat(", "range(", "sleep_ms", "lpad(", "format(")


def hostile(number: int, seed: int, paths: list[str]) -> Iterator[str]:
    """So many statements; equal seeds give equal ones."""
    rng = random.Random(seed)
    for index in range(number):
        attack = ATTACKS[index % len(ATTACKS)]
        if any(bomb in attack for bomb in BOMBS) and (index // len(ATTACKS)) % (SLOW * 8):
            attack = "SELECT " + "(" * rng.randrange(3000) + "1" + ")" * rng.randrange(3000)
        sql = attack.replace("{p}", rng.choice(paths))
        for _ in range(rng.choice((0, 0, 1, 1, 3, 10))):
            sql = mutated(sql, rng)
        yield sql


def mutated(sql: str, rng: random.Random) -> str:
    """One change: a word put in, a piece cut or doubled, a case changed, a comment, a wrapping."""
    at, end = sorted((rng.randrange(len(sql) + 1), rng.randrange(len(sql) + 1)))
    return rng.choice(
        (
            sql[:at] + rng.choice(WORDS) + sql[at:],
            sql[:at] + sql[min(end, at + 5) :],
            sql[:end] + sql[at:],
            sql.swapcase(),
            sql.replace(" ", "/**/", 3),
            f"SELECT * FROM ({sql})",
            f"WITH w AS ({sql}) SELECT * FROM w",
            f"EXPLAIN {sql}",
            f"{sql}; {rng.choice(ATTACKS[:20])}",
            sql[:at] + chr(rng.randrange(1, 0xD7FF)) + sql[at:],
        )
    )


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every file below."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def attack(root: Path, number: int, seed: int, *, timeout_s: float = 1.0) -> Counter[str]:
    """Run them all; AssertionError for the first that does what it must not."""
    folder, outside = root / "catalogue", root / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text(f"{SECRET}\n")
    for view in PER_SLIDE:
        with bucket_writer(folder / view / "00.parquet", view, {"s": "k"}) as writer:
            schema = stored_schema(view)
            values = [
                pa.array(
                    ["s"] * 9
                    if field.type == pa.string()
                    else np.arange(9).astype(bool)
                    if field.type == pa.bool_()
                    else np.arange(9)
                ).cast(field.type)
                for field in schema
            ]
            writer.add(pa.Table.from_arrays(values, schema=schema))
    inside = str(folder / "tiles" / "00.parquet")
    paths = [inside, str(folder / "new.parquet"), str(outside / "secret.csv"), str(outside / "new"), "/etc/passwd"]
    paths += [
        "wsicatalogue://0.parquet",
        "wsicatalogue://new.parquet",
        f"file://{inside}",
        f"{folder}/../outside/secret.csv",
    ]
    before, told = hashes(root), Counter[str]()
    with duckdb.connect(":memory:") as connection, duckdb.connect(":memory:") as parser:
        parser.execute("SET enable_external_access = false")
        connection.execute("CREATE TABLE slides AS SELECT 's' AS slide_id")
        show(connection, {"R": folder}, memory="500MB")
        engine = Engine(connection, parser)
        for index, sql in enumerate(hostile(number, seed, paths)):
            try:
                answer = str(engine.arrow(sql, timeout_s=timeout_s).slice(0, 100).to_pylist())
                told["answered"] += 1
                assert SECRET not in answer, sql
                assert "root:x:0" not in answer, sql
            except UsageError as error:
                told["refused or wrong"] += 1
                assert "\n" not in str(error), sql  # noqa: PT017
                assert SECRET not in str(error), sql  # noqa: PT017
            if index % 100 == 99:
                assert hashes(root) == before, sql
        assert engine.arrow("SELECT count(*) AS n FROM tiles")["n"].to_pylist() == [9]
        assert engine.arrow("SELECT count(*) AS n FROM slides")["n"].to_pylist() == [1]
    assert hashes(root) == before
    return told


def main() -> None:
    """Run as many as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bounded_memory(2 << 30):
        told = attack(Path(folder), given.number, given.seed)
    print(f"{given.number} statements: {dict(told)}; no write, no read outside, no crash")


if __name__ == "__main__":
    main()
