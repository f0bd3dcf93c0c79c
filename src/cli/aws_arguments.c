/* SPDX-License-Identifier: MIT */
#include "cli/aws_arguments.h"

#include <stdlib.h>
#include "base/crypto.h"
#include "cli/shorthand.h"
#include "io/file.h"

#define FILE_LIMIT ((size_t)4 << 20)

enum global_kind { GLOBAL_VALUE, GLOBAL_FLAG, GLOBAL_REFUSED };

static bool
global_value(const char *name, const char *value, struct aws_globals *out, struct err *err)
{
    if (strcmp(name, "--region") == 0)
        out->region = value;
    else if (strcmp(name, "--endpoint-url") == 0)
        out->endpoint_url = value;
    else if (strcmp(name, "--output") == 0)
        out->output = value;
    else if (strcmp(name, "--query") == 0)
        out->query = value;
    else if (strcmp(name, "--profile") == 0)
        out->profile = value;
    else if (strcmp(name, "--page-size") == 0 &&
             (!str_to_i64(str_of(value), &out->page_size) || out->page_size < 1))
        return err_set(err, ERR_USAGE, "argument --page-size: invalid int value: '%s'", value);
    if (out->output != NULL && strcmp(out->output, "json") != 0 &&
        strcmp(out->output, "text") != 0 && strcmp(out->output, "table") != 0)
        return err_set(err, ERR_USAGE, "--output %s is not built; json, text and table are",
                       out->output);
    return true;
}

static bool
global_kind(const char *name, enum global_kind *out)
{
    static const struct {
        const char *name;
        enum global_kind kind;
    } rows[] = {
        {"--region", GLOBAL_VALUE},
        {"--endpoint-url", GLOBAL_VALUE},
        {"--output", GLOBAL_VALUE},
        {"--query", GLOBAL_VALUE},
        {"--profile", GLOBAL_VALUE},
        {"--page-size", GLOBAL_VALUE},
        {"--color", GLOBAL_VALUE},
        {"--ca-bundle", GLOBAL_VALUE},
        {"--cli-read-timeout", GLOBAL_VALUE},
        {"--cli-connect-timeout", GLOBAL_VALUE},
        {"--cli-binary-format", GLOBAL_VALUE},
        {"--no-cli-pager", GLOBAL_FLAG},
        {"--no-paginate", GLOBAL_FLAG},
        {"--no-verify-ssl", GLOBAL_FLAG},
        {"--debug", GLOBAL_FLAG},
        {"--no-cli-auto-prompt", GLOBAL_FLAG},
        {"--no-sign-request", GLOBAL_REFUSED},
        {"--max-items", GLOBAL_REFUSED},
        {"--starting-token", GLOBAL_REFUSED},
        {"--generate-cli-skeleton", GLOBAL_REFUSED},
        {"--cli-input-yaml", GLOBAL_REFUSED},
        {"--cli-auto-prompt", GLOBAL_REFUSED},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *out = rows[i].kind;
            return true;
        }
    }
    return false;
}

bool
aws_globals_parse(int *argc, char **argv, struct aws_globals *out, struct err *err)
{
    int kept = 0;

    for (int i = 0; i < *argc; i++) {
        const char *equals = strchr(argv[i], '=');
        cleanup_free char *name =
            str_dup(str_range(argv[i], equals != NULL ? equals : argv[i] + strlen(argv[i])));
        enum global_kind kind;

        if (!global_kind(name, &kind)) {
            argv[kept++] = argv[i];
            continue;
        }
        if (kind == GLOBAL_REFUSED)
            return err_set(err, ERR_USAGE, "%s is not built", name);
        if (kind == GLOBAL_FLAG) {
            out->no_paginate = out->no_paginate || strcmp(name, "--no-paginate") == 0;
            continue;
        }
        if (equals == NULL && i + 1 >= *argc)
            return err_set(err, ERR_USAGE, "argument %s: expected one argument", name);
        if (!global_value(name, equals != NULL ? equals + 1 : argv[++i], out, err))
            return false;
    }
    *argc = kept;
    return true;
}

/* ---- one operation ---- */

static bool
is_json(const char *text)
{
    const struct str trimmed = str_trim(str_of(text));

    return trimmed.len > 0 && (trimmed.at[0] == '[' || trimmed.at[0] == '{');
}

/* `file://path` is the file's content; `fileb://path` the same, for blobs. */
static bool
expand(const char *name, const char *value, struct strbuf *out, struct err *err)
{
    const bool is_binary = strncmp(value, "fileb://", 8) == 0;
    struct err cause = {0};

    if (!is_binary && strncmp(value, "file://", 7) != 0) {
        strbuf_add_cstr(out, value);
        return true;
    }
    if (file_read(value + (is_binary ? 8 : 7), FILE_LIMIT, out, &cause))
        return true;
    return err_set(err, ERR_USAGE,
                   "Error parsing parameter '--%s': Unable to load paramfile %s: %.600s", name,
                   value, cause.message);
}

static struct json *
parse_json(const char *name, struct str text, struct err *err)
{
    struct err cause = {0};
    struct json *value = json_parse(text, &cause);

    if (value == NULL)
        err_set(err, ERR_USAGE,
                "Error parsing parameter '--%s': Invalid JSON: %.600s\nJSON received: %.200s", name,
                cause.message, text.at);
    return value;
}

/* A structure, map or item of a list: JSON or shorthand. */
static struct json *
parse_complex(const struct shape *shape, const char *name, const char *wire, const char *argument,
              struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *value = NULL;
    bool has_json;

    if (!expand(name, argument, &text, err))
        return NULL;
    has_json = is_json(strbuf_cstr(&text)) || shape->kind == SHAPE_DOCUMENT;
    value = has_json ? parse_json(name, strbuf_str(&text), err)
                     : shorthand_parse(strbuf_str(&text), err);
    return value != NULL ? shape_coerce(value, shape, wire, !has_json, err) : NULL;
}

/* The bytes as base64.  What is not read as `fileb://` may be base64 already (version 2 of the AWS CLI wants
 * it so, version 1 never). */
static struct json *
blob_json(struct str bytes, bool is_binary)
{
    cleanup(strbuf_done) struct strbuf text = {0}, ignored = {0};

    if (!is_binary && base64_decode(&ignored, bytes))
        return json_str(bytes);
    base64_encode(&text, bytes);
    return json_str(strbuf_str(&text));
}

static struct json *
parse_scalar(const struct shape *shape, const char *name, const char *wire, const char *argument,
             struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *value = NULL;

    if (!expand(name, argument, &text, err))
        return NULL;
    if (shape->kind == SHAPE_BLOB)
        return blob_json(strbuf_str(&text), strncmp(argument, "fileb://", 8) == 0);
    value = json_str(strbuf_str(&text));
    return shape_coerce(value, shape, wire, /* is_lenient= */ true, err);
}

static bool
is_complex(const struct shape *shape)
{
    return shape->kind == SHAPE_STRUCTURE || shape->kind == SHAPE_MAP ||
           shape->kind == SHAPE_LIST || shape->kind == SHAPE_DOCUMENT;
}

/* `--services a b c`, `--services '["a"]'`, `--load-balancers targetGroupArn=..,containerName=..`.
 */
static struct json *
parse_list(const struct shape_member *member, int count, char **values, struct err *err)
{
    const struct shape *element = member->shape->element;
    struct json *list;

    if (count == 1) {
        cleanup(strbuf_done) struct strbuf text = {0};

        if (!expand(member->option, values[0], &text, err))
            return NULL;
        if (str_starts(str_trim(strbuf_str(&text)), STR("["))) {
            cleanup_json struct json *value = parse_json(member->option, strbuf_str(&text), err);

            return value != NULL ? shape_coerce(value, member->shape, member->name, false, err)
                                 : NULL;
        }
    }
    list = json_array();
    for (int i = 0; i < count; i++) {
        struct json *item =
            is_complex(element)
                ? parse_complex(element, member->option, member->name, values[i], err)
                : parse_scalar(element, member->option, member->name, values[i], err);

        if (item == NULL) {
            json_unref(list);
            return NULL;
        }
        json_append(list, item);
    }
    return list;
}

static bool
unknown_option(const char *argument, struct err *err)
{
    return err_set(err, ERR_USAGE, "Unknown options: %s", argument);
}

/* `--flag` and `--no-flag`; false if the argument is no boolean of this operation. */
static bool
take_boolean(const struct shape *input, const char *option, struct json *out)
{
    const bool is_negative = strncmp(option, "no-", 3) == 0;
    const struct shape_member *member = shape_option_find(input, option);

    if (member != NULL && member->shape->kind == SHAPE_BOOLEAN) {
        json_set(out, member->name, json_bool(true));
        return true;
    }
    member = is_negative ? shape_option_find(input, option + 3) : NULL;
    if (member == NULL || member->shape->kind != SHAPE_BOOLEAN)
        return false;
    json_set(out, member->name, json_bool(false));
    return true;
}

static int
count_values(int argc, char **argv, int from)
{
    int count = 0;

    while (from + count < argc && strncmp(argv[from + count], "--", 2) != 0)
        count++;
    return count;
}

static bool
take_member(const struct shape_member *member, int count, char **values, struct json *out,
            struct err *err)
{
    struct json *value;

    if (count == 0)
        return err_set(err, ERR_USAGE, "argument --%s: expected %s", member->option,
                       member->shape->kind == SHAPE_LIST ? "at least one argument"
                                                         : "one argument");
    if (member->shape->kind != SHAPE_LIST && count > 1)
        return unknown_option(values[1], err);
    if (member->shape->kind == SHAPE_LIST)
        value = parse_list(member, count, values, err);
    else if (is_complex(member->shape))
        value = parse_complex(member->shape, member->option, member->name, values[0], err);
    else
        value = parse_scalar(member->shape, member->option, member->name, values[0], err);
    if (value == NULL)
        return false;
    json_set(out, member->name, value);
    return true;
}

/* Arguments win over the members of --cli-input-json. */
static bool
take_input_json(const struct shape *input, int count, char **values, struct json *out,
                struct err *err)
{
    cleanup_json struct json *given = NULL;

    if (count != 1)
        return err_set(err, ERR_USAGE, "argument --cli-input-json: expected one argument");
    given = parse_complex(input, "cli-input-json", "input", values[0], err);
    if (given == NULL)
        return false;
    for (void *it = json_first(given); it != NULL; it = json_next(given, it))
        if (json_get(out, json_key(it)) == NULL)
            json_set(out, json_key(it), json_ref(json_value(it)));
    return true;
}

static bool
check_required(const struct shape *input, const struct json *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf missing = {0};

    for (int i = 0; i < input->member_count; i++)
        if (input->members[i].is_required && json_get(out, input->members[i].name) == NULL)
            strbuf_addf(&missing, "%s--%s", missing.len > 0 ? ", " : "", input->members[i].option);
    if (missing.len == 0)
        return true;
    return err_set(err, ERR_USAGE, "the following arguments are required: %s",
                   strbuf_cstr(&missing));
}

struct json *
aws_arguments_parse(const struct aws_operation *operation, int argc, char **argv, struct err *err)
{
    const struct shape *input = operation->input;
    cleanup_json struct json *out = json_object();

    for (int i = 0; i < argc; i++) {
        const char *option = argv[i] + 2, *equals = strchr(argv[i], '=');
        cleanup_free char *name = NULL;
        const struct shape_member *member;
        char *single[1];
        char **values = argv + i + 1;
        int count;

        if (strncmp(argv[i], "--", 2) != 0)
            return unknown_option(argv[i], err), NULL;
        if (take_boolean(input, option, out))
            continue;
        name = str_dup(str_range(option, equals != NULL ? equals : option + strlen(option)));
        count = count_values(argc, argv, i + 1);
        if (equals != NULL) {
            single[0] = argv[i] + (equals - argv[i]) + 1;
            values = single;
            count = 1;
        }
        member = shape_option_find(input, name);
        if (strcmp(name, "cli-input-json") == 0) {
            if (!take_input_json(input, count, values, out, err))
                return NULL;
        } else if (member == NULL || member->shape->kind == SHAPE_BOOLEAN) {
            return unknown_option(argv[i], err), NULL;
        } else if (!take_member(member, count, values, out, err)) {
            return NULL;
        }
        i += equals != NULL ? 0 : count;
    }
    return check_required(input, out, err) ? TAKE(out) : NULL;
}
