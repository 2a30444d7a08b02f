"""The table of dev/gpu/ablations.sh: ablations.py FOLDER ASKED NAME...

ASKED is the lengths and trials of the questions, as in the names of the files that runs have written into FOLDER.
"""

import json
import sys
from pathlib import Path


def share(cells, length):
    """Found at all depths of a length: (right, asked)."""
    row = [cell for cell in cells if cell["length"] == length]
    return sum(cell["correct"] for cell in row), sum(cell["trials"] for cell in row)


def last(metrics, key):
    values = [line[key] for line in metrics if key in line]
    return values[-1] if values else None


def read(run, asked):
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    valid = last(metrics, "valid_loss")
    tokens = [line.get("tokens_per_second") for line in metrics if line.get("tokens_per_second")]
    result = {
        "valid_bits_per_byte": None if valid is None else valid / 0.6931471805599453,
        "valid_answers": last(metrics, "valid_answers"),
        "tokens_per_second": sorted(tokens)[len(tokens) // 2] if tokens else None,
    }
    for task in ("passkey", "multi-key"):
        cells = json.loads((run / f"{task}-{asked}.json").read_text())
        result[task] = {length: share(cells, length) for length in sorted({cell["length"] for cell in cells})}
    return result


def short(length):
    return f"{length // 1000}k" if length % 1000 == 0 else str(length)


def main():
    folder = Path(sys.argv[1])
    rows = []
    asked = sys.argv[2]
    for name in sys.argv[3:]:
        for run in sorted(folder.glob(f"{name}-[0-9]*")):
            seed = run.name[len(name) + 1 :]
            if seed.isdigit() and (run / f"done-{asked}").exists():
                rows.append({"variant": name, "seed": int(seed), **read(run, asked)})
    if not rows:
        sys.exit("ablations: no run is done")
    lengths = sorted({length for row in rows for length in row["passkey"]})
    head = ["variant", "seed", "bits/byte", "answers of validation"]
    head += [f"one key, {short(n)}" for n in lengths] + [f"four keys, {short(n)}" for n in lengths] + ["tokens/s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row["variant"], str(row["seed"])]
        cells.append("" if row["valid_bits_per_byte"] is None else f"{row['valid_bits_per_byte']:.3f}")
        cells.append("" if row["valid_answers"] is None else f"{100 * row['valid_answers']:.0f} %")
        for task in ("passkey", "multi-key"):
            for length in lengths:
                right, asked = row[task].get(length, (0, 0))
                cells.append(f"{right}/{asked}" if asked else "")
        cells.append("" if row["tokens_per_second"] is None else f"{row['tokens_per_second']:,.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    table = "\n".join(lines) + "\n"
    (folder / "table.md").write_text(table)
    (folder / "table.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table, end="")


if __name__ == "__main__":
    main()
