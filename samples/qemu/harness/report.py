"""The table at the end, for people (text, markdown) and programs (JSON)."""
import json

COLUMNS = ("fix", "functions changed", "line-only", "verdict", "expected", "pause µs", "patch bytes", "proof")
SCHEMA = "tardigrade.test-qemu/1"


def _cells(row):
    def shown(key):
        value = row.get(key)
        return "-" if value is None else str(value)

    functions = shown("changed") + (f" + {row['new']} new" if row.get("new") else "")
    proof = row["failure"] if row.get("failure") else row.get("proof") or "-"
    return (row["fix"], functions, shown("line_only"), shown("verdict"),
            "NO" if row.get("failure") else "yes", shown("stop_us"), shown("patch_bytes"), proof)


def text(rows):
    lines = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS) - 1)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)) + "  " + line[-1]
                     for line in lines)


def markdown(rows):
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(_cells, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def document(rows):
    return json.dumps({"schema": SCHEMA, "ok": not any(row.get("failure") for row in rows), "fixes": rows},
                      indent=2) + "\n"
