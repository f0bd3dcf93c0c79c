# SPDX-License-Identifier: MIT
"""newest.py - lets the packaged boto3 and AWS CLI speak the ECS of today.

Debian's clients are of 2022: they refuse members and operations that came later. Both read `sdk-extras` beside their models
from a directory of one's own (AWS_DATA_PATH); what is in such a file is merged into the model. extras() makes one of the
tables that the server answers by (src/api/models/ecs.json) and of ECS's answers (tests/unit/ecs_answers.json), so that the
clients' own serialisers, parsers, waiters and error classes are what is tested."""
import json
import pathlib

import boto3

TOP = pathlib.Path(__file__).resolve().parent.parent
TYPES = {"str": "string", "int": "integer", "dbl": "double", "bool": "boolean", "ts": "timestamp", "long": "long"}
COMMON = ["AccessDeniedException", "ClientException", "InvalidParameterException", "ServerException"]


def input_shape(shape):
    """One of src/api/models as botocore has it; ranges are the server's affair."""
    if shape["type"] == "document":
        return {"type": "structure", "members": {}, "document": True}
    out = {"type": shape["type"]}
    out.update({k: shape[k] for k in ("required", "enum") if k in shape})
    if "members" in shape:
        out["members"] = {name: {"shape": "In" + child} for name, child in shape["members"].items()}
    out.update({k: {"shape": "In" + shape[k]} for k in ("member", "key", "value") if k in shape})
    return out


class Answers:
    def __init__(self, tables):
        self.tables = tables
        self.shapes = {}
        for name, members in tables["shapes"].items():
            self.shapes["Out" + name] = self.structure(members)

    def structure(self, members):
        return {"type": "structure", "members": {name: {"shape": self.shape(kind)} for name, kind in members.items()}}

    def shape(self, kind):
        """The name of the shape of 'str', '[Tag]', 'map', ..., made if it is not there yet."""
        if kind in self.tables["shapes"]:
            return "Out" + kind
        name = "OutListOf" + kind.strip("[]") if kind.startswith("[") else "Out" + kind
        if kind.startswith("["):
            made = {"type": "list", "member": {"shape": self.shape(kind.strip("[]"))}}
        elif kind in self.tables["enums"]:
            made = {"type": "string", "enum": self.tables["enums"][kind]}
        elif kind == "map":
            made = {"type": "map", "key": {"shape": self.shape("str")}, "value": {"shape": self.shape("str")}}
        elif kind == "doc":
            made = {"type": "structure", "members": {}, "document": True}
        else:
            made = {"type": TYPES[kind]}
        self.shapes[name] = made
        return name


def error_shape(name):
    members = {"message": {"shape": "Outstr"}}
    if name == "ConflictException":
        members["resourceIds"] = {"shape": "OutListOfstr"}
    return {"type": "structure", "members": members, "exception": True}


def extras():
    inputs = json.loads((TOP / "src/api/models/ecs.json").read_text())
    tables = json.loads((TOP / "tests/unit/ecs_answers.json").read_text())
    answers = Answers(tables)
    shapes = {"In" + name: input_shape(shape) for name, shape in inputs["shapes"].items()}
    answers.shape("[str]")
    operations = {}
    for name, row in tables["operations"].items():
        if "input" not in inputs["operations"].get(name, {}):
            continue
        answers.shapes[f"Out{name}"] = answers.structure(row["answer"])
        errors = COMMON + row["errors"]
        operations[name] = {"name": name, "http": {"method": "POST", "requestUri": "/"},
                            "input": {"shape": "In" + inputs["operations"][name]["input"]},
                            "output": {"shape": f"Out{name}"}, "errors": [{"shape": error} for error in errors]}
        shapes.update((error, error_shape(error)) for error in errors)
    return {"version": 1.0, "merge": {"operations": operations, "shapes": dict(shapes, **answers.shapes)}}


def write(folder):
    """Gives the value for AWS_DATA_PATH."""
    path = pathlib.Path(folder) / "ecs/2014-11-13"
    path.mkdir(parents=True, exist_ok=True)
    (path / "service-2.sdk-extras.json").write_text(json.dumps(extras()))
    return str(folder)


def client(folder, **options):
    """boto3's client for ECS, with what write() put there."""
    session = boto3.session.Session()
    session._session.get_component("data_loader").search_paths.insert(0, write(folder))  # as AWS_DATA_PATH would
    return session.client("ecs", **options)
