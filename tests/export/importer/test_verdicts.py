"""What the linter says of a node is what the parser of TensorRT 8.2 said of it, and that of 8.0 where it differs.

Where this project is stricter than the parser, EXCEPTIONS says why, one line each.
"""

import collections

import pytest
from latentjet.export.importer import CHANGED, DEPENDS, REFUSED, UNDEFINED, contract, findings_of
from latentjet.export.target import STRICTER, STRICTER_TYPES, everything

from . import nodes
from .nodes import TABLE, model_of, named, records

RECORDS = records()
LEVELS = (REFUSED, UNDEFINED, CHANGED, DEPENDS)
STATED = {"refused": REFUSED, "unknown": UNDEFINED}


def said(findings):
    """The gravest level among findings, "accepted" without any."""
    levels = {finding.level for _, finding in findings}
    return next((level for level in LEVELS if level in levels), "accepted")


def verdict(record, version):
    """What the real parser said: REFUSED, UNDEFINED, CHANGED or "accepted"."""
    older = record.get("tensorrt_8.0") if version == "8.0" else None
    if older:
        return REFUSED if older.startswith("refused") else CHANGED if "wrong" in older else "accepted"
    if record["verdict"] in STATED:
        return STATED[record["verdict"]]
    return REFUSED if record.get("later") else CHANGED if record.get("silent") else "accepted"


def types_of(record):
    def entries(items):
        for item in items:
            if item is not None:
                yield item.get("type")
                yield from entries(item.get("inputs", []))

    return {*entries(record["inputs"]), *(entry["type"] for entry in record["outputs"] if entry)}


def makers(record):
    """The operators of a record's nodes."""
    return {record["operator"]}.union(*(inner(item) for item in record["inputs"]))


def inner(entry):
    return {entry["from"]}.union(*(inner(item) for item in entry["inputs"])) if entry and "from" in entry else set()


# where the linter refuses what the parser accepts: name -> (why, which records)
EXCEPTIONS = {
    **{
        operator: (why, lambda record, operator=operator: operator in makers(record))
        for operator, why in STRICTER.items()
    },
    **{
        kind: (why, lambda record, kind=kind: kind in types_of(record))
        for kind, (why, _) in STRICTER_TYPES.items()
    },
    "BOOL of integers": (
        "the contract documents no conversion to BOOL, from integers neither",
        lambda record: record["operator"] == "Cast" and record["attributes"]["to"] == 9,
    ),
    "Resize to numbers": (
        "sizes as numbers fix the batch",
        lambda record: record["operator"] == "Resize" and record["case"] == "sizes constant on a free batch",
    ),
    "InstanceNormalization in HALF": (
        "the contract says that a HALF scale is read as FLOAT; the layers were not evaluated",
        lambda record: record["operator"] == "InstanceNormalization" and "FLOAT16" in types_of(record),
    ),
}  # fmt: skip


def agrees(heard, stated):
    """DEPENDS says that a node is right but for the values that it names: that fits "accepted" and CHANGED."""
    return heard == stated or (heard == DEPENDS and stated in (CHANGED, "accepted"))


@pytest.mark.parametrize("number", range(len(RECORDS)), ids=lambda number: named(RECORDS[number], number))
def test_the_rules_say_what_the_parser_said(number):
    record = RECORDS[number]
    model = model_of(record)
    for version in ("8.2", "8.0"):
        found = findings_of(model, version)
        wrong = not agrees(said(found), verdict(record, version))
        excused = wrong and said(found) == CHANGED and EXCEPTIONS["InstanceNormalization in HALF"][1](record)
        assert not wrong or excused, (version, verdict(record, version), found)


def test_where_the_linter_is_stricter_a_reason_stands():
    used, agreed = collections.Counter(), 0
    for number, record in enumerate(RECORDS):
        heard, stated = said(everything(model_of(record), "8.2")), verdict(record, "8.2")
        if agrees(heard, stated):
            agreed += 1
            continue
        assert heard in (REFUSED, CHANGED), (named(record, number), heard, stated)
        reasons = [name for name, (_, applies) in EXCEPTIONS.items() if applies(record)]
        assert reasons, (named(record, number), heard, stated)
        used[reasons[0]] += 1
    assert set(used) == set(EXCEPTIONS), "an exception that excuses nothing"
    print(f"{len(RECORDS)} nodes, {agreed} agree with the parser, {sum(used.values())} stricter on purpose:")
    for name, count in used.most_common():
        print(f"{count:5}  {name}: {EXCEPTIONS[name][0]}")


def test_the_table_is_whole():
    assert len(RECORDS) == 1268
    counted = collections.Counter(record["verdict"] for record in RECORDS)
    assert counted == {"accepted": 1085, "refused": 175, "unknown": 8}


def test_a_damaged_table_is_no_reason_to_skip(tmp_path, monkeypatch):
    broken = tmp_path / TABLE.name
    broken.write_bytes(TABLE.read_bytes()[:-2])
    monkeypatch.setattr(nodes, "TABLE", broken)
    with pytest.raises(AssertionError, match="changed or damaged"):
        records()


def test_every_operator_of_the_table_is_in_the_contract_or_refused():
    for operator in {record["operator"] for record in RECORDS} - contract.operators():
        assert {record["verdict"] for record in RECORDS if record["operator"] == operator} == {"refused"}
    assert len(contract.operators()) == 130
