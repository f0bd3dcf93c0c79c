#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a public AWS service model (botocore's service-2.json[.gz]) into our form, src/api/models/.

usage: import_model.py MODEL --service NAME [--operations A,B,...] [--known REGEX] > src/api/models/NAME.json

The shapes of the inputs of the named operations (default: all) are taken, with types, members, what
is required, ranges and enums, but none of the prose; the other operations are listed by name, so that
they answer "not built" rather than "unknown" (--known: only those whose names match). Run once; afterwards the
file is ours and edited by hand.

The form, read by gen_shapes.py:
  service        our name: <service>_operations[] in C holds the handlers
  signing_name   what the signature's scope says
  protocol       "json" (with target_prefix), "query" or "ec2" (with version and namespace); "query" with a
                 target_prefix: JSON is spoken, too
  cbor_namespace added by hand where RPC v2 CBOR is spoken, too: of the names of errors there
  invalid        the row of codes.def that a broken constraint answers; an operation may have its own
  operations     {name: {"input": shape}}; {} is known and not built
  shapes         {name: {"type", "members": {name: shape}, "required", "member", "key", "value",
                 "min", "max", "enum", "chars", "wire"}}; "chars" is the class of characters of a string,
                 ranges allowed: "A-Za-z0-9_-" ("beyond_ascii": true allows all that is no ASCII, too); "wire" is {member: its name in a request}, where it is another
"""
import argparse
import gzip
import json
import re
import sys

INVALID = {"json": "INVALID_PARAMETER", "query": "ELB_VALIDATION", "ec2": "EC2_INVALID_VALUE"}
KEPT = ("type", "required", "min", "max", "enum")


def protocol_of(meta):
    """The newest models name several; Query comes first, as JSON is then spoken beside it."""
    names = [meta["protocol"], *meta.get("protocols", [])]
    for name in ("ec2", "query", "json"):
        if name in names:
            return name
    sys.exit("the model has none of the protocols " + ", ".join(INVALID))


def wire_name(member, ref):
    """As requests of the protocol ec2 name a member."""
    name = ref.get("locationName", member)
    return ref.get("queryName", name[0].upper() + name[1:])


def our_shape(shape, is_ec2):
    out = {k: shape[k] for k in KEPT if k in shape and shape[k] != []}
    if shape.get("document"):
        return {"type": "document"}
    if "members" in shape:
        out["members"] = {name: m["shape"] for name, m in shape["members"].items()}
        wire = {name: wire_name(name, m) for name, m in shape["members"].items()}
        if is_ec2 and any(name != other for name, other in wire.items()):
            out["wire"] = {name: other for name, other in wire.items() if name != other}
    for key in ("member", "key", "value"):
        if key in shape:
            out[key] = shape[key]["shape"]
    return out


def reachable(shapes, name, found, is_ec2):
    if name in found:
        return
    found[name] = our_shape(shapes[name], is_ec2)
    shape = found[name]
    for child in list(shape.get("members", {}).values()) + [
        shape[k] for k in ("member", "key", "value") if k in shape
    ]:
        reachable(shapes, child, found, is_ec2)


def write(model, file):
    """One line an operation or shape: the file is read and edited by people."""
    parts = []
    for key, value in model.items():
        if isinstance(value, dict):
            rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()]
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(rows) + "\n }")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    file.write("{\n" + ",\n".join(parts) + "\n}\n")


def main():
    parser = argparse.ArgumentParser(description="import a service model")
    parser.add_argument("model")
    parser.add_argument("--service", required=True)
    parser.add_argument("--operations", default="")
    parser.add_argument("--known", default="")
    args = parser.parse_args()
    opener = gzip.open if args.model.endswith(".gz") else open
    with opener(args.model, "rt", encoding="utf-8") as file:
        model = json.load(file)
    meta = model["metadata"]
    wanted = [o for o in args.operations.split(",") if o] or sorted(model["operations"])
    unknown = [o for o in wanted if o not in model["operations"]]
    if unknown:
        sys.exit("the model has no operation " + ", ".join(unknown))
    protocol = protocol_of(meta)
    out = {
        "service": args.service,
        "signing_name": meta.get("signingName", meta["endpointPrefix"]),
        "protocol": protocol,
        "version": meta["apiVersion"],
        "invalid": INVALID[protocol],
    }
    if "targetPrefix" in meta:
        out["target_prefix"] = meta["targetPrefix"]
    if "xmlNamespace" in meta:
        out["namespace"] = meta["xmlNamespace"]
    shapes = {}
    operations = {}
    for name in sorted(o for o in model["operations"] if o in wanted or re.search(args.known, o)):
        operations[name] = {}
        if name in wanted and "input" in model["operations"][name]:
            operations[name]["input"] = model["operations"][name]["input"]["shape"]
            reachable(model["shapes"], operations[name]["input"], shapes, protocol == "ec2")
    out["operations"] = operations
    out["shapes"] = dict(sorted(shapes.items()))
    write(out, sys.stdout)


if __name__ == "__main__":
    main()
