/* SPDX-License-Identifier: MIT */
/* protocol.h - the wire forms: JSON 1.1 (aws_json.c), Query with XML answers (aws_query.c) and
 * RPC v2 CBOR (aws_cbor.c).  Inputs become JSON, which shapes.h checks; answers are JSON that is
 * written in the protocol's form.
 * Limits: QUERY_* and CBOR_* below; JSON_DEPTH_MAX for JSON and CBOR.
 * Ownership: outputs are the caller's. */
#pragma once
#include "api/shapes.h"

#define QUERY_PARAMETERS_MAX 5000
#define QUERY_NAME_MAX 512
#define QUERY_DEPTH_MAX 32
#define QUERY_ITEMS_MAX 2000 /* of one list */
#define CBOR_ITEMS_MAX 200000 /* of one request, keys and values counted */

/* ---- JSON 1.1 ---- */
/* An empty body counts as {}. */
bool json_protocol_read(struct str body, struct json **out, struct err *err) MUST_CHECK;
void json_protocol_write(struct strbuf *out, const struct json *answer);
/* {"__type": code, "message": text} and the members of `extra` (may be NULL). */
void json_protocol_write_error(struct strbuf *out, const char *code, const char *message,
                               const struct json *extra);

/* ---- RPC v2 CBOR ---- */
/* An empty body counts as {}.  Fails with ERR_SERIALIZATION on what is malformed, and on what no
 * operation takes: bytes, integers that int64_t cannot hold, infinite numbers, tags other than 1,
 * keys that are no texts or are there twice.  A time is the number behind its tag. */
bool cbor_protocol_read(struct str body, struct json **out, struct err *err) MUST_CHECK;
/* Lengths are definite, JSON_REAL is a double.  What json_formatted() gave is not for here. */
void cbor_protocol_write(struct strbuf *out, const struct json *answer);
/* A value of an answer that is written as a time. */
struct json *cbor_time_ms(int64_t ms);
/* {"__type": "namespace#code", "message": text} and the members of `extra`; both may be NULL. */
void cbor_protocol_write_error(struct strbuf *out, const char *shape_namespace, const char *code,
                               const char *message, const struct json *extra);

/* ---- Query ---- */
struct query_form;
/* "Action=X&Version=Y&A.member.1=b" into a tree of names. Fails with ERR_SERIALIZATION. */
struct query_form *query_parse(struct str form, struct err *err) MUST_CHECK;
void query_free(struct query_form *form);
/* The value of a parameter without dots in its name, or NULL. */
const char *query_get(const struct query_form *form, const char *name);
/* What the shape knows of the form, with the types that it names; unknown names are left out. */
bool query_decode(const struct query_form *form, const struct shape *input, enum err_code invalid,
                  struct json **out, struct err *err) MUST_CHECK;
/* <OpResponse xmlns><OpResult>...</OpResult><ResponseMetadata>...: objects are elements, lists hold
 * <member> elements; a map is an object with the one member `entry`, a list of {key, value}. */
void query_write(struct strbuf *out, const char *operation, const char *xml_namespace,
                 const struct json *answer, const char *request_id);
void query_write_error(struct strbuf *out, const char *xml_namespace, const char *code,
                       const char *message, bool is_ours, const char *request_id);

/* ---- EC2's dialect of Query: lists are "Name.N", members may have another name on the wire
 * (shape_member.wire), and a name that the shape does not know is refused.  Answers have no result
 * element, items of lists are <item>, errors are <Response><Errors>. ---- */
bool ec2_decode(const struct query_form *form, const struct shape *input, enum err_code invalid,
                struct json **out, struct err *err) MUST_CHECK;
void ec2_write(struct strbuf *out, const char *operation, const char *xml_namespace,
               const struct json *answer, const char *request_id);
void ec2_write_error(struct strbuf *out, const char *code, const char *message, const char *request_id);

/* "RepositoryNotFoundException" -> "RepositoryNotFound". */
struct str query_error_code(const char *wire);
