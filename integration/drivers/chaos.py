"""A session of psycopg 3, told what to do by lines of JSON: {"sql": ..., "args": [...]}, answered by lines of JSON.

Argument: the connection string."""
import json
import re
import sys

import psycopg

conn = psycopg.connect(sys.argv[1], autocommit=True)
print(json.dumps({}), flush=True)
for line in sys.stdin:
    todo = json.loads(line)
    args = todo["args"] or []
    answer = {}
    try:
        cursor = conn.execute(
            re.sub(r"\$(\d)", r"%(p\1)s", todo["sql"]),
            {f"p{i}": value for i, value in enumerate(args, 1)} or None,
        )
        if cursor.description and cursor.rowcount > 0:
            answer["value"] = cursor.fetchone()[0]
    except psycopg.Error as error:
        answer["error"] = str(error)
        answer["code"] = error.sqlstate or ""
    answer["closed"] = conn.closed
    print(json.dumps(answer), flush=True)
