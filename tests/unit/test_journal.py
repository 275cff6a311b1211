"""The report on disk: always whole, early, and never in the run's way."""

from __future__ import annotations

import json

import pytest
from report_samples import STACK, outcome, validate

from ansible.module_utils.torchnode import journal, report
from ansible.module_utils.torchnode.journal import Journal
from ansible.module_utils.torchnode.model import as_data

RUN = {"id": "20261122-180000-1", "playbook": "site.yml", "check": False}


@pytest.fixture
def opened(tmp_path):
    """A journal of a run that was asked to verify two nodes."""
    made = Journal(tmp_path, dict(RUN, requested=["survey", "resolve", "verify", "report"]))
    made.node("a")
    made.node("b")
    return made


def read(made) -> dict:
    """The file as another program reads it."""
    content = json.loads(made.path.read_text(encoding="utf-8"))
    validate(content)
    return content


def prove(node) -> None:
    """Everything that the run asks for."""
    node.add("survey", {"stage": "survey", "outcomes": []})
    node.add("survey", {"stage": "resolve", "stack": as_data(STACK), "outcomes": []})
    passed = outcome("verify.torch", "pass").as_dict()
    node.add("verify", {"stage": "verify", "outcomes": [passed]})
    node.add("report", {"stage": "report"})


def test_the_file_is_there_from_the_start(tmp_path):
    """Before any node, and 'latest' points to it."""
    made = Journal(tmp_path, dict(RUN, requested=["survey"]))
    assert read(made)["status"] == "running"
    assert (tmp_path / "latest" / "fleet.json").samefile(made.path)


def test_latest_follows_the_newest_run(tmp_path):
    """One rename, nothing left over."""
    Journal(tmp_path, dict(RUN, requested=["survey"]))
    second = Journal(tmp_path, dict(RUN, id="20261122-190000-2", requested=["survey"]))
    assert (tmp_path / "latest" / "fleet.json").samefile(second.path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [RUN["id"], "20261122-190000-2", "latest"]


def test_every_host_is_unknown_until_proven(opened):
    """What a killed controller leaves."""
    prove(opened.node("a"))
    opened.write(force=True)
    assert [n["verdict"] for n in read(opened)["nodes"]] == ["UNKNOWN", "UNKNOWN"]


def test_the_end_makes_verdicts_final(opened):
    """The node that was not reached says so."""
    prove(opened.node("a"))
    opened.finish()
    content = read(opened)
    assert content["status"] == "complete"
    assert [n["verdict"] for n in content["nodes"]] == ["READY", "UNKNOWN"]
    assert content["run"]["ended"]


def test_an_interruption_is_named(opened):
    """With the reason at each node that was not done."""
    prove(opened.node("a"))
    opened.interrupt()
    content = read(opened)
    assert content["status"] == "interrupted"
    assert [n["verdict"] for n in content["nodes"]] == ["READY", "UNKNOWN"]
    assert "interrupted" in content["nodes"][1]["outcomes"][0]["cause"]


def test_a_large_report_is_held_back_and_flushed(opened, monkeypatch):
    """Writing may cost a tenth of the time; a flush brings what was held back."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    opened._next_write = 200.0
    opened.node("c")
    opened.write()
    assert len(read(opened)["nodes"]) < 3
    opened.flush()
    assert len(read(opened)["nodes"]) == 3
    opened.node("d")
    opened.flush()  # nothing was asked to be written since
    assert len(read(opened)["nodes"]) == 3


def test_a_full_disk_does_not_stop_the_run(opened, monkeypatch):
    """The last whole file stays; the end says why, and still has the content for the table."""

    def full(*_):
        raise OSError(28, "No space left on device")

    before = opened.path.read_text(encoding="utf-8")
    monkeypatch.setattr(journal, "_replace", full)
    content = opened.finish()
    assert len(content["nodes"]) == 2
    assert "No space left" in opened.problem
    assert opened.path.read_text(encoding="utf-8") == before


def files(made) -> list[str]:
    """What stands in the run's folder."""
    return sorted(path.name for path in made.path.parent.iterdir())


@pytest.mark.parametrize("end", [Journal.finish, Journal.interrupt])
def test_the_files_for_people_come_when_the_run_is_over(opened, end):
    """However it ended; before that there is fleet.json alone, and no half file at any time."""
    opened.write(force=True)
    assert files(opened) == ["fleet.json"]
    end(opened)
    assert files(opened) == sorted(["fleet.json", *journal.BESIDE])
    assert all(path.stat().st_size for path in opened.path.parent.iterdir())
    assert opened.problem == ""


@pytest.mark.parametrize("name", journal.BESIDE)
def test_a_file_that_cannot_be_made_costs_no_other(opened, monkeypatch, name):
    """Half of it was written already: nobody finds that half under its name."""

    def breaks(*_):
        yield "half"
        raise ValueError("a text that it cannot hold")

    monkeypatch.setattr(journal, "BESIDE", {**journal.BESIDE, name: breaks})
    opened.finish()
    assert opened.problem == name + ": a text that it cannot hold"
    assert read(opened)["status"] == "complete"
    assert files(opened) == sorted({"fleet.json", *journal.BESIDE} - {name})


def test_no_key_is_in_the_file_twice(opened):
    """Readers would silently take the last one."""

    def once(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    prove(opened.node("a"))
    opened.finish()
    json.loads(opened.path.read_text(encoding="utf-8"), object_pairs_hook=once)


def test_a_node_is_encoded_again_only_when_it_changed(opened, monkeypatch):
    """With a thousand nodes a result must not cost a thousand encodings."""
    opened.write(force=True)
    entry, asked = report.NodeReport.entry, []

    def counted(node, *arguments, **named):
        asked.append(node.name)
        return entry(node, *arguments, **named)

    monkeypatch.setattr(report.NodeReport, "entry", counted)
    prove(opened.node("b"))
    opened.write(force=True)
    opened.write(force=True)
    assert asked == ["b"]


def test_a_folder_that_cannot_be_written_is_an_error_at_the_start(tmp_path):
    """Before any node is touched."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Journal(tmp_path / "file", dict(RUN, requested=["survey"]))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": " why "}, "why"),
        ({"msg": "", "stderr": "trace"}, "trace"),
        ({"censored": "the output has been hidden", "msg": "secret"}, "the output has been hidden"),
        ({}, "no message"),
        ({"msg": "x" * 5000}, "x" * 2000),
    ],
)
def test_the_message_of_a_failed_task(result, message):
    """Short, and never what no_log hides."""
    assert journal.message_of(result) == message
