#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes shapes.inc, the tables of src/api/shapes.h, from src/api/models/*.json.

usage: gen_shapes.py OUTPUT MODEL.json...
The form of a model is described in import_model.py. Mistakes in a model stop the build here.
"""
import json
import sys

TYPES = ("structure", "list", "map", "string", "integer", "long", "double", "boolean", "timestamp",
         "blob", "document")
SAME = {"float": "double"}


def text(s):
    return "NULL" if s is None else json.dumps(s)


def expand(chars):
    """'A-Za-z_-' -> every character; a '-' at the end stands for itself."""
    out, i = "", 0
    while i < len(chars):
        if i + 2 < len(chars) and chars[i + 1] == "-":
            out += "".join(chr(c) for c in range(ord(chars[i]), ord(chars[i + 2]) + 1))
            i += 3
        else:
            out += chars[i]
            i += 1
    return out


def class_of(shape):
    """As people read it."""
    if shape.get("beyond_ascii"):
        return "[" + shape["chars"].replace("A-Za-z0-9 ", r"\p{L}\p{Z}\p{N}") + "]*"
    return "[" + shape["chars"] + "]+"


class Model:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.model = json.load(file)
        self.path = path
        self.name = self.model["service"]
        self.shapes = self.model["shapes"]
        self.index = {name: i for i, name in enumerate(self.shapes)}

    def ref(self, shape, where):
        if shape not in self.index:
            sys.exit(f"{self.path}: {where} names the unknown shape {shape}")
        return f"&{self.name}_shapes[{self.index[shape]}]"

    def members(self, name, shape):
        if shape["type"] == "structure":
            required = shape.get("required", [])
            missing = [r for r in required if r not in shape.get("members", {})]
            if missing:
                sys.exit(f"{self.path}: {name} requires unknown members {missing}")
            return [(m, s, m in required) for m, s in shape.get("members", {}).items()]
        if shape["type"] == "list":
            return [("member", shape["member"], False)]
        if shape["type"] == "map":
            return [("key", shape["key"], False), ("value", shape["value"], False)]
        return []

    def emit_shape(self, out, name, shape):
        kind = SAME.get(shape["type"], shape["type"])
        if kind not in TYPES:
            sys.exit(f"{self.path}: {name} has the unknown type {kind}")
        fields = [f".name = {text(name)}", f".type = SHAPE_{kind.upper()}"]
        members = self.members(name, shape)
        if members:
            fields.append(f".members = {self.name}_members_{self.index[name]}")
            fields.append(f".member_count = {len(members)}")
        if "enum" in shape:
            fields.append(f".values = {self.name}_values_{self.index[name]}")
            fields.append(f".value_count = {len(shape['enum'])}")
        for bound in ("min", "max"):
            if bound in shape:
                fields.append(f".has_{bound} = true, .{bound} = {int(shape[bound])}")
        if "chars" in shape:
            fields.append(f".chars = {text(expand(shape['chars']))}")
            fields.append(f".chars_class = {text(class_of(shape))}")
            fields.append(f".has_beyond_ascii = {'true' if shape.get('beyond_ascii') else 'false'}")
        out.append("    {" + ", ".join(fields) + "},")

    def emit(self, out):
        n = self.name
        out.append(f"static const struct shape {n}_shapes[{max(1, len(self.shapes))}];")
        for name, shape in self.shapes.items():
            i = self.index[name]
            members = self.members(name, shape)
            if members:
                out.append(f"static const struct shape_member {n}_members_{i}[] = {{")
                for m, s, required in members:
                    flag = ", true" if required else ", false"
                    flag += ", " + text(shape.get("wire", {}).get(m))
                    out.append(f"    {{{text(m)}, {self.ref(s, name + '.' + m)}{flag}}},")
                out.append("};")
            if "enum" in shape:
                values = ", ".join(text(v) for v in shape["enum"])
                out.append(f"static const char *const {n}_values_{i}[] = {{{values}}};")
        out.append(f"static const struct shape {n}_shapes[{max(1, len(self.shapes))}] = {{")
        for name, shape in self.shapes.items():
            self.emit_shape(out, name, shape)
        out.append("};")
        out.append(f"static const struct model_operation {n}_model_operations[] = {{")
        for name, op in sorted(self.model["operations"].items()):
            shape = self.ref(op["input"], name) if "input" in op else "NULL"
            code = op.get("invalid", self.model["invalid"])
            out.append(f"    {{{text(name)}, {shape}, ERR_{code}}},")
        out.append("};")

    def emit_row(self, out):
        n, m = self.name, self.model
        out.append(
            f"    {{.service = {text(n)}, .signing_name = {text(m['signing_name'])}, "
            f".is_query = {'true' if m['protocol'] in ('query', 'ec2') else 'false'}, "
            f".is_ec2 = {'true' if m['protocol'] == 'ec2' else 'false'}, "
            f".version = {text(m['version'])}, .target_prefix = {text(m.get('target_prefix'))}, "
            f".xml_namespace = {text(m.get('namespace'))}, "
            f".cbor_namespace = {text(m.get('cbor_namespace'))}, .operations = {n}_model_operations, "
            f".operation_count = {len(m['operations'])}, .handlers = {n}_operations}},")


def main():
    out = ["/* Made by tools/gen_shapes.py. */"]
    models = [Model(path) for path in sys.argv[2:]]
    for model in models:
        model.emit(out)
    out.append("const struct model models[] = {")
    for model in models:
        model.emit_row(out)
    out.append("};")
    out.append("const size_t model_count = sizeof(models) / sizeof(models[0]);")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
