"""An old build of SQLite, which parses SQL and says what it does not know.

`make old-sqlite` fetches it: sql.js 1.6.2, which is SQLite 3.36 for Node. It is one release older
than the oldest that we serve, so that it refuses at least all that the oldest would refuse.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "build/old-sqlite/node_modules/sql.js/dist"
# Checked before it is run: these files were looked at when they were pinned.
_SHA256 = {
    "sql-wasm.js": "c097dfa41a1c1fe9321ddf38fec3c4a191306ed4f185844db853a41514b83bbe",
    "sql-wasm.wasm": "19119b55864eb5e7266dc526487840a0ad4f7e828512f32e387ef60a6b17028b",
}
_SECONDS_MAX = 60
_PROGRAM = """
const fs = require("fs");
const [program, code] = process.argv.slice(1);
const order = JSON.parse(fs.readFileSync(0, "utf8"));
require(program)({ wasmBinary: fs.readFileSync(code) }).then((made) => {
  const database = new made.Database();
  const refused = {};
  for (const sql of order.schema) database.run(sql);
  for (const sql of order.statements) {
    try { database.prepare(sql).free(); } catch (error) { refused[sql] = error.message; }
  }
  const version = database.exec("SELECT sqlite_version()")[0].values[0][0];
  console.log(JSON.stringify({ version, refused }));
});
"""


def refused_by_old_sqlite(
    schema: Sequence[str], statements: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """The old build's version, and its error for each statement that it refuses.

    Skips the test where Node or the build is missing. Fails if the build refuses the schema.
    """
    node = shutil.which("node")
    if node is None or not _FOLDER.is_dir():
        pytest.skip("needs Node and an old SQLite for it: `make old-sqlite` fetches that")
    for name, digest in _SHA256.items():
        assert hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest() == digest, name
    order = json.dumps({"schema": schema, "statements": statements})
    done = subprocess.run(
        [node, "-e", _PROGRAM, *(str(_FOLDER / name) for name in _SHA256)],
        input=order, capture_output=True, text=True, timeout=_SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["version"], found["refused"]
