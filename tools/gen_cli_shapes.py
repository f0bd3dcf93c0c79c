#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes cli_shapes.inc, the tables of src/cli/shapes.h, from the models in src/api/models/.

usage: gen_cli_shapes.py OUTPUT MODEL.json...
The command line is an API client like any other, so it shares the models with the server but not its tables.
"""
import json
import re
import sys

KINDS = {"structure": "STRUCTURE", "list": "LIST", "map": "MAP", "string": "STRING", "integer": "INTEGER",
         "long": "INTEGER", "double": "REAL", "float": "REAL", "boolean": "BOOLEAN",
         "timestamp": "TIMESTAMP", "blob": "BLOB", "document": "DOCUMENT"}

# What the AWS CLI pages through by itself: result member, token in, token out, limit.
JSON_PAGES = ("nextToken", "nextToken", "maxResults")
QUERY_PAGES = ("Marker", "NextMarker", "PageSize")
ACM_PAGES = ("NextToken", "NextToken", "MaxItems")
EC2_PAGES = ("NextToken", "NextToken", "MaxResults")
CLOUDWATCH_PAGES = ("NextToken", "NextToken", "MaxDatapoints")
FORMS = {"acm": ACM_PAGES, "ec2": EC2_PAGES, "cloudwatch": CLOUDWATCH_PAGES}
PAGES = {
    "ecs": {"ListClusters": "clusterArns", "ListContainerInstances": "containerInstanceArns",
            "ListTaskDefinitions": "taskDefinitionArns", "ListTaskDefinitionFamilies": "families",
            "ListTasks": "taskArns", "ListServices": "serviceArns", "ListAccountSettings": "settings",
            "ListAttributes": "attributes", "ListServicesByNamespace": "serviceArns"},
    "ecr": {"ListImages": "imageIds", "DescribeImages": "imageDetails", "DescribeRepositories": "repositories"},
    "elbv2": {"DescribeLoadBalancers": "LoadBalancers", "DescribeTargetGroups": "TargetGroups",
              "DescribeListeners": "Listeners", "DescribeRules": "Rules", "DescribeAccountLimits": "Limits",
              "DescribeListenerCertificates": "Certificates", "DescribeSSLPolicies": "SslPolicies",
              "DescribeTrustStores": "TrustStores", "DescribeTrustStoreAssociations": "TrustStoreAssociations"},
    "acm": {"ListCertificates": "CertificateSummaryList"},
    "ec2": {"DescribeVpcs": "Vpcs", "DescribeSubnets": "Subnets", "DescribeSecurityGroups": "SecurityGroups",
            "DescribeSecurityGroupRules": "SecurityGroupRules", "DescribeTags": "Tags"},
    "cloudwatch": {"GetMetricData": "MetricDataResults", "ListMetrics": "Metrics"},
}

# Members of our own: naru's, not Amazon's.
OURS = {("ecs", "UpdateServiceRequest"): {"rollbackDeployment": "boolean", "rollbackTo": "string"}}


def option(name):
    """The AWS CLI's own rule: enableECSManagedTags -> enable-ecs-managed-tags."""
    if re.search("[A-Z]{3,}s$", name):
        tail = re.search("[A-Z]{3,}s$", name).group()
        name = name[: -len(tail)] + "-" + tail.lower()
    name = re.sub("(.)([A-Z][a-z]+)", r"\1-\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1-\2", name).lower()


def text(s):
    return "NULL" if s is None else json.dumps(s)


def emit_shapes(out, service, shapes):
    index = {name: i for i, name in enumerate(shapes)}
    array = f"{service}_cli_shapes"
    out.append(f"static const struct shape {array}[{max(1, len(shapes))}];")
    for name, shape in shapes.items():
        if not shape.get("members"):
            continue
        out.append(f"static const struct shape_member {service}_cli_members_{index[name]}[] = {{")
        for member, child in shape["members"].items():
            required = "true" if member in shape.get("required", []) else "false"
            wire = shape.get("wire", {}).get(member, member)
            out.append(f"    {{{text(member)}, {text(wire)}, {text(option(member))}, &{array}[{index[child]}], {required}}},")
        out.append("};")
    out.append(f"static const struct shape {array}[{max(1, len(shapes))}] = {{")
    for name, shape in shapes.items():
        fields = [f".kind = SHAPE_{KINDS[shape['type']]}"]
        child = shape.get("member") or shape.get("value")
        if child:
            fields.append(f".element = &{array}[{index[child]}]")
        if shape.get("members"):
            fields.append(f".members = {service}_cli_members_{index[name]}, .member_count = {len(shape['members'])}")
        out.append("    {" + ", ".join(fields) + "},")
    out.append("};")
    return index


def emit(out, model):
    service = model["service"]
    pages = FORMS.get(service, QUERY_PAGES if model["protocol"] == "query" else JSON_PAGES)
    shapes = dict(model["shapes"])
    for (owner, name), members in OURS.items():
        if owner == service and name in shapes:
            shapes[name] = dict(shapes[name], members=dict(shapes[name]["members"]))
            for member, kind in members.items():
                shapes.setdefault("Naru_" + kind, {"type": kind})
                shapes[name]["members"].setdefault(member, "Naru_" + kind)
    index = emit_shapes(out, service, shapes)
    out.append(f"static const struct aws_operation {service}_cli_operations[] = {{")
    for name, operation in sorted(model["operations"].items()):
        row = [f".name = {text(name)}", f".option = {text(option(name))}"]
        if "input" in operation:
            row.append(f".input = &{service}_cli_shapes[{index[operation['input']]}]")
        result = PAGES.get(service, {}).get(name)
        if result:
            token_in, token_out, limit = pages
            if limit not in shapes[operation["input"]]["members"]:
                limit = None
            row.append(f".token_in = {text(token_in)}, .token_out = {text(token_out)}, "
                       f".limit = {text(limit)}, .result = {text(result)}")
        out.append("    {" + ", ".join(row) + "},")
    out.append("};")


def main():
    out = ["/* Made by tools/gen_cli_shapes.py. */"]
    models = []
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            models.append(json.load(file))
    for model in models:
        emit(out, model)
    out.append("static const struct aws_service aws_services[] = {")
    for m in models:
        ec2 = "true" if m["protocol"] == "ec2" else "false"
        prefix = m.get("target_prefix")
        out.append(f"    {{{text(m['service'])}, {text(m['signing_name'])}, {text(prefix)}, {ec2}, {text(m['version'])}, "
                   f"{m['service']}_cli_operations, {len(m['operations'])}}},")
    out.append("};")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
