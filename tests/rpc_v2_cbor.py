# SPDX-License-Identifier: MIT
"""rpc_v2_cbor.py - lets the packaged boto3 speak to CloudWatch as AWS's newest SDKs do.

Debian's boto3 is older than that protocol, but asks tables for what writes its requests and reads their answers, by the
protocol that the service's model names. So the model is told another one (through sdk-extras, as in newest.py) and the tables
get what speaks it; signing, paginators, waiters and error classes are the client's own. Answers are read as the strictest SDKs
read them: a time has its tag, a double is no integer, each answer names its protocol."""
import datetime
import json
import pathlib

import boto3
import botocore.parsers
import botocore.serialize
import botocore.utils
import cbor2

PROTOCOL = "smithy-rpc-v2-cbor"
TYPES = {"timestamp": datetime.datetime, "double": float, "string": str, "integer": int, "boolean": bool, "list": list,
         "map": dict, "structure": dict}


def plain(shape, value):
    """What the user gave, as what cbor2 writes right."""
    if shape.type_name == "structure":
        return {k: plain(shape.members[k], v) for k, v in value.items() if v is not None}
    if shape.type_name == "list":
        return [plain(shape.member, v) for v in value]
    if shape.type_name == "timestamp":
        return botocore.utils.parse_to_aware_datetime(value)
    return float(value) if shape.type_name == "double" else value


def encode(value, is_open):
    """Some SDKs know the lengths before they write, some do not and end with a break."""
    if not is_open or not isinstance(value, (dict, list)):
        return cbor2.dumps(value, datetime_as_timestamp=True)
    if isinstance(value, list):
        return b"\x9f" + b"".join(encode(v, True) for v in value) + b"\xff"
    return b"\xbf" + b"".join(cbor2.dumps(k) + encode(v, True) for k, v in value.items()) + b"\xff"


class Serializer(botocore.serialize.Serializer):
    count = 0

    def serialize_to_request(self, parameters, operation_model):
        target = operation_model.service_model.metadata["targetPrefix"]
        request = self._create_default_request()
        request["url_path"] = f"/service/{target}/operation/{operation_model.name}"
        request["headers"] = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor",
                              "x-amzn-query-mode": "true"}
        Serializer.count += 1
        request["body"] = encode(plain(operation_model.input_shape, parameters), Serializer.count % 2 == 0)
        return request


class Parser(botocore.parsers.ResponseParser):
    def body(self, response):
        assert response["headers"]["smithy-protocol"] == "rpc-v2-cbor", response["headers"]
        assert response["headers"]["content-type"] == "application/cbor", response["headers"]
        return cbor2.loads(response["body"])

    def checked(self, shape, value):
        assert type(value) is TYPES[shape.type_name], (shape, value)
        if shape.type_name == "structure":
            return {k: self.checked(shape.members[k], v) for k, v in value.items()}
        if shape.type_name == "list":
            return [self.checked(shape.member, v) for v in value]
        if shape.type_name == "map":
            return {self.checked(shape.key, k): self.checked(shape.value, v) for k, v in value.items()}
        return value

    def _do_parse(self, response, shape):
        metadata = {"RequestId": response["headers"]["x-amzn-requestid"]}
        return dict(self.checked(shape, self.body(response)), ResponseMetadata=metadata)

    def _do_error_parse(self, response, _shape):
        body = self.body(response)
        code, fault = response["headers"]["x-amzn-query-error"].split(";")
        assert fault == ("Receiver" if response["status_code"] >= 500 else "Sender"), fault
        return {"Error": {"Code": code, "Message": body["message"], "Type": body["__type"]}, "ResponseMetadata": {
            "RequestId": response["headers"]["x-amzn-requestid"]}}

    def _do_modeled_error_parse(self, response, shape):
        body = self.body(response)
        assert body.pop("__type") == "com.amazonaws.cloudwatch#" + shape.name, shape.name
        return self.checked(shape, body)


def client(folder, **options):
    """boto3's client for CloudWatch; `folder` is a new one for the model's extras."""
    botocore.serialize.SERIALIZERS[PROTOCOL] = Serializer
    botocore.parsers.PROTOCOL_PARSERS[PROTOCOL] = Parser
    path = pathlib.Path(folder) / "cloudwatch/2010-08-01"
    path.mkdir(parents=True)
    metadata = {"protocol": PROTOCOL, "targetPrefix": "GraniteServiceVersion20100801"}
    (path / "service-2.sdk-extras.json").write_text(json.dumps({"version": 1.0, "merge": {"metadata": metadata}}))
    session = boto3.session.Session()
    session._session.get_component("data_loader").search_paths.insert(0, str(folder))
    made = session.client("cloudwatch", **options)
    assert made.meta.service_model.metadata["protocol"] == PROTOCOL
    return made
