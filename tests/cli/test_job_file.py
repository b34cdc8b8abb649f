from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from tf2spark.cli.commands.run import JOBS
from tf2spark.cli.job_file import command_line, read_job
from tf2spark.cli.job_keys import ANY_NAME, in_keys, keys_of
from tf2spark.errors import ContractError

HEAD = 'command = "score"\nmodel = "m"\n[input]\npath = "in"\n[output]\npath = "out"\n'


def arguments(folder: Path, text: str, *overrides: str) -> list[str]:
    file = folder / "job.toml"
    file.write_text(text)
    return command_line(read_job(file, overrides), JOBS)


def params(folder: Path, text: str, *overrides: str) -> dict[str, Any]:
    """Return the parameters that the command gets."""
    name, *rest = arguments(folder, text, *overrides)
    return JOBS[name].make_context(name, rest).params


def mistake(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ContractError) as raised:
        arguments(folder, text, *overrides)
    return raised.value.text_for("command_line").replace(f"{folder}/", "")


@pytest.mark.parametrize("command", JOBS.values(), ids=JOBS)
def test_every_option_has_a_key(command: click.Command) -> None:
    """And no two keys set the same one."""
    keys = keys_of(command)
    set_by = [each.name for key in keys.values() for each in key.parameters]
    assert sorted(map(str, set_by)) == sorted(str(each.name) for each in command.params)
    shared = [key.text for key in keys.values() if len(key.parameters) > 1]
    assert sorted(shared) == ["output.mode", f"spark.{ANY_NAME}"]


@pytest.mark.parametrize("command", JOBS.values(), ids=JOBS)
def test_every_key_reaches_its_option(command: click.Command, tmp_path: Path) -> None:
    """A file that sets each key with a value of its type sets each option of the command."""
    values: dict[str, list[str]] = {}
    for key in keys_of(command).values():
        if key.text == "model" or (key.section in ("users", "items") and key.name == "sql"):
            continue
        name = "x" if key.name == ANY_NAME else key.name
        name = '"spark.x"' if key.section == "spark" else name
        values.setdefault(key.section, []).append(f"{name} = {_example(key.parameter, key.text)}")
    text = f'command = "{command.name}"\nmodel = "m"\n'
    text += "".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in values.items())
    given = params(tmp_path, text)
    left_out = {"overwrite", "overwrite_partitions", "master", "users_sql", "items_sql"}
    for parameter in command.params:
        if parameter.name not in left_out:
            assert given[str(parameter.name)] not in (None, (), False), parameter.name


def _example(parameter: click.Parameter, key: str) -> str:
    if key == "output.mode":
        return '"append"'
    if key.endswith(".options"):
        return "{ a = 1 }"
    if key in ("feed.*", "fetch.*", "spark.*"):
        return '"y"'
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "true"
    if isinstance(parameter, click.Option) and parameter.multiple:
        return '["a"]'
    if "," in str(parameter.metavar or ""):
        return '["a", "b"]'
    if isinstance(parameter.type, click.Choice):
        return f'"{parameter.type.choices[0]}"'
    return (
        "1"
        if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)
        else '"a"'
    )


def test_values_become_options(tmp_path: Path) -> None:
    """Lists, tables, numbers and flags, as TOML has them."""
    text = HEAD + (
        'mode = "overwrite_partitions"\npartition_by = ["dt", "hour"]\nfiles = 4\n'
        '[output.options]\ncompression = "zstd"\n'
        "[input.options]\nheader = true\nsamplingRatio = 0.5\nparquet.block.size = 1024\n"
        '[feed]\nx = "a"\ny = ["a", "b.c"]\nz = 1.5\nt = true\n"x:0" = "q"\n'
        'city = { literal = "Oslo" }\nids = "padded(ids, 0)"\n'
        '[fetch]\nprice = "output_0"\n'
        '[options]\nkeep = ["id"]\nbatch_rows = 8\nallow_op = ["ReadFile"]\n'
        '[spark]\n"spark.master" = "local[3]"\nspark.ui.enabled = false\n'
    )
    given = params(tmp_path, text)
    assert (given["overwrite_partitions"], given["append"], given["overwrite"]) == (
        True,
        False,
        False,
    )
    assert (given["partition_by"], given["output_files"]) == ("dt,hour", 4)
    assert given["output_option"] == ("compression=zstd",)
    assert given["input_option"] == (
        "header=true", "samplingRatio=0.5", "parquet.block.size=1024",
    )  # fmt: skip
    assert given["feed"] == (
        "x=a", "y=a,b.c", "z:=1.5", "t:=true", "x:0=q", 'city:="Oslo"', "ids=padded(ids, 0)",
    )  # fmt: skip
    assert given["fetch"] == ("price=output_0",)
    assert (given["keep"], given["batch_rows"], given["allow_op"]) == ("id", 8, ("ReadFile",))
    assert (given["master"], given["conf"]) == ("local[3]", ("spark.ui.enabled=false",))


def test_relative_paths_are_the_files(tmp_path: Path) -> None:
    """Those of the model, of tables and of reports; URIs and absolute paths stay."""
    given = params(tmp_path, HEAD)
    assert given["model"] == str(tmp_path / "m")
    assert (given["input_path"], given["output_path"]) == (
        str(tmp_path / "in"),
        str(tmp_path / "out"),
    )
    text = HEAD.replace('"in"', '"hdfs:///in"').replace('"out"', '"/out"')
    given = params(tmp_path, text, "options.op_library=['tensorflow_text', 'ops/my.so']")
    assert (given["input_path"], given["output_path"]) == ("hdfs:///in", "/out")
    assert given["op_library"] == ("tensorflow_text", str(tmp_path / "ops/my.so"))


class TestSet:
    @pytest.mark.parametrize(
        ("override", "name", "value"),
        [
            ("options.mode=permissive", "mode", "permissive"),
            ('options.mode="permissive"', "mode", "permissive"),
            ("options.batch_rows=16", "batch_rows", 16),
            ('options.keep=["id", "dt"]', "keep", "id,dt"),
            ("input.where=dt = '2026-11-29'", "input_where", "dt = '2026-11-29'"),
            ("options.model_column=2026", "model_column", "2026"),
            ("options.signature=2026-11-29", "signature", "2026-11-29"),
            ("output.mode=append", "append", True),
            ('spark."spark.master"=local[4]', "master", "local[4]"),
            ("spark.spark.master=local[4]", "master", "local[4]"),
            ("feed.x=age", "feed", ("x=age",)),
            ("feed.x=1.5", "feed", ("x:=1.5",)),
            ("fetch.price=output_1", "fetch", ("price=output_1",)),
            ("output.options.compression=gzip", "output_option", ("compression=gzip",)),
        ],
    )
    def test_replaces_a_key(self, override: str, name: str, value: Any, tmp_path: Path) -> None:
        """With a TOML value, or text as it stands."""
        text = HEAD + '[options]\nmode = "failfast"\n[fetch]\nprice = "output_0"\n'
        assert params(tmp_path, text, override)[name] == value

    @pytest.mark.parametrize("override", ["options.mode", "=x", "a b=1", ""])
    def test_without_a_key_or_a_value(self, override: str, tmp_path: Path) -> None:
        """The way to write it is shown."""
        assert "write --set KEY=VALUE" in mistake(tmp_path, HEAD, override)

    def test_mistakes_name_it(self, tmp_path: Path) -> None:
        """Instead of a line of the file."""
        assert mistake(tmp_path, HEAD, "options.batch_rows=many") == (
            '--set options.batch_rows must be a whole number, not the string "many"'
        )


class TestMistakes:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("[options]\nbatch_row = 3", "line 8: options.batch_row is no key of a score job; did "
             "you mean options.batch_rows?"),
            ("[options]\nbatch_rows = '3'", "line 8: options.batch_rows must be a whole number, "
             'not the string "3"'),
            ("[options]\nbatch_rows = 0", "line 8: options.batch_rows 0 is not in the range x>=1"),
            ("[options]\nbatch_rows = true", "must be a whole number, not a boolean true"),
            ("[options]\nmode = 'strict'", "line 8: options.mode 'strict' is not one of"),
            ("[options]\nkeep = 'id, dt'", 'must be a list of strings, not the string "id, dt"; '
             'write ["id", "dt"]'),
            ("[options]\npartition_by = ['dt']", "write it as output.partition_by"),
            ("[option]\nkeep = ['id']", "line 7: option is no table of this job; did you mean "
             "[options]?"),
            ("[options]\nsignature = 2026-11-29", "must be a string, not a date or a time"),
            ("mode = 'apend'", 'line 7: output.mode must be one of "error", "overwrite", "append", '
             '"overwrite_partitions", not the string "apend"'),
            ("[feed]\nx = 2026-11-29", 'must be a column ("age"), a list of columns'),
            ("[spark]\n'spark.x' = [1]", "must be a string, a number or a boolean"),
            ("[input.options]\nheader = [1]", "input.options must be a string, a number"),
            ("[users]\npath = 'u'", "users is no table of this job"),
        ],
    )  # fmt: skip
    def test_message_has_line_key_and_what_to_write(
        self, more: str, message: str, tmp_path: Path
    ) -> None:
        """For every kind of mistake."""
        assert message in mistake(tmp_path, HEAD + more + "\n")

    def test_all_mistakes_are_listed(self, tmp_path: Path) -> None:
        """So that nobody corrects them one by one."""
        text = mistake(tmp_path, HEAD + "[options]\nbatch_row = 3\nkeep = 1\n")
        assert text.startswith("2 mistakes:\n- ")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("command = ", "is not TOML: Invalid value"),
            ('model = "m"', 'has no key command; write command = "score" or "recommend"'),
            ('command = "scor"\nmodel = "m"', 'line 1: command must be "score" or "recommend"'),
            ('command = "score"', 'has no key model; write model = "PATH"'),
            ('command = "score"\nmodel = "m"\ninput = "in"', "line 3: input must be a table"),
            ('command = "score"\nmodel = "m"\nbatch_rows = 3', "write it as options.batch_rows"),
        ],
    )
    def test_file_that_is_no_job(self, text: str, message: str, tmp_path: Path) -> None:
        """TOML that can't be parsed, and keys that are missing or in the wrong place."""
        assert message in mistake(tmp_path, text)

    def test_file_that_is_not_there(self, tmp_path: Path) -> None:
        """It is named."""
        with pytest.raises(ContractError, match=r"no\.toml can't be read: No such file"):
            read_job(tmp_path / "no.toml", [])


def test_messages_about_options_name_keys() -> None:
    """A message that was written for the command line suits the file."""
    text = in_keys("--partition-by dt: write --mode permissive, or --overwrite", JOBS["score"])
    assert text == (
        'output.partition_by dt: write options.mode = "permissive", or output.mode = "overwrite"'
    )
    assert (
        in_keys("--feed city=town; --unknown x", JOBS["score"]) == "[feed] city=town; --unknown x"
    )
