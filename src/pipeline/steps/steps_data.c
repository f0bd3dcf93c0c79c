/* SPDX-License-Identifier: MIT */
/* steps_data.c - files that hold data: readJSON, writeJSON, readYaml, writeYaml, readProperties,
 * readCSV, writeCSV, readMavenPom. */
#include <ctype.h>
#include <stdio.h>
#include "base/crypto.h"
#include "io/file.h"
#include "pipeline/steps/data_xml.h"
#include "pipeline/steps/data_yaml.h"
#include "pipeline/run/run.h"
#include "pipeline/groovy/value_json.h"

#define DATA_MAX ((size_t)16 << 20)
#define INTERPOLATED_DEPTH_MAX 16
#define INTERPOLATED_VISITS_MAX ((size_t)1 << 20) /* of values, in one file */
#define INTERPOLATED_BYTES_MAX (2 * DATA_MAX)

/* What `file` holds, or `text` itself. */
static bool
read_source(struct step_call *s, struct strbuf *out)
{
    bool by_file = step_value(s, "file") != NULL;
    struct err err;

    if (by_file == (step_value(s, "text") != NULL) && !str_is(s->name, "readProperties"))
        return step_fail(s, "'" STR_FMT "' takes either file or text", STR_ARG(s->name));
    if (by_file) {
        if (!step_needs_workspace(s))
            return false;
        if (!file_read_plain(step_path(s, step_text(s, "file", "")), DATA_MAX, out, &err))
            return interp_throw(s->in, s->at, "FileNotFoundException", "%s", err.message);
    }
    if (step_value(s, "text") != NULL) {
        strbuf_add_char(out, '\n');
        strbuf_add(out, step_text(s, "text", ""));
    }
    return true;
}

static bool
not_parsed(struct step_call *s, const struct err *err)
{
    struct str file = step_text(s, "file", "the text");

    return interp_throw(s->in, s->at, "IllegalArgumentException", STR_FMT ": " STR_FMT ": %s",
                        STR_ARG(s->name), STR_ARG(file), err->message);
}

/* Into `file`, or returned where `returnText` says so. */
static bool
write_result(struct step_call *s, struct str text)
{
    const char *path;

    if (step_truth(s, "returnText", false)) {
        *s->out = value_text(arena_dup(&s->run->arena, text));
        return true;
    }
    if (step_value(s, "file") == NULL)
        return step_fail(s, "'" STR_FMT "' needs file, or returnText: true", STR_ARG(s->name));
    if (!step_needs_workspace(s))
        return false;
    path = step_path(s, step_text(s, "file", ""));
    if (str_is(s->name, "writeYaml") && !step_truth(s, "overwrite", false) && file_exists(path))
        return step_fail(s, "'%s' is there already; overwrite: true replaces it", path);
    return step_write_text(s, path, text, false);
}

static bool
step_read_json(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err;

    if (!read_source(s, &text))
        return false;
    return value_parse_json(&s->run->arena, strbuf_str(&text), s->out, &err) ||
           not_parsed(s, &err);
}

static bool
step_write_json(struct step_call *s)
{
    cleanup_json struct json *j = NULL;
    cleanup_free char *text = NULL;
    const struct value *v = step_value(s, "json");

    if (v == NULL)
        return step_fail(s, "writeJSON needs 'json'");
    if (!value_to_json(&s->run->arena, *v, &j)) {
        j = NULL;
        return step_fail(s, "the value is nested too deeply, or too large");
    }
    text = step_int(s, "pretty", 0) > 0 ? json_format_pretty(j) : json_format(j);
    return write_result(s, str_of(text));
}

static bool
step_read_yaml(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct value list;
    struct err err;

    if (!read_source(s, &text))
        return false;
    if (!data_yaml_parse(&s->run->arena, strbuf_str(&text), &list, &err))
        return not_parsed(s, &err);
    *s->out = list.list->count == 0   ? value_null()
              : list.list->count == 1 ? list.list->at[0]
                                      : list;
    return true;
}

static bool
step_write_yaml(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct value *one = step_value(s, "data"), *many = step_value(s, "datas");
    struct err err;

    if ((one == NULL) == (many == NULL) || (many != NULL && many->type != V_LIST))
        return step_fail(s, "writeYaml takes either data or a list of datas");
    if (!data_yaml_format(&s->run->arena, one != NULL ? *one : *many, one == NULL, &text, &err))
        return step_fail(s, "writeYaml: %s", err.message);
    return write_result(s, strbuf_str(&text));
}

/* The unit of UTF-16 that "u00e9" at `at` stands for. */
static bool
utf16_at(struct str s, size_t at, unsigned *out)
{
    unsigned char bytes[2];

    if (at + 5 > s.len || s.at[at] != 'u' || !hex_decode(str_slice(s, at + 1, at + 5), bytes))
        return false;
    *out = (unsigned)bytes[0] << 8 | bytes[1];
    return true;
}

/* "\n", "\u0041" and so on of a properties file; `at` stands on the character behind '\'. */
static size_t
unescape(struct str s, size_t at, struct strbuf *out)
{
    static const char signs[] = "ntr", meant[] = "\n\t\r";
    const char *sign = s.at[at] == '\0' ? NULL : strchr(signs, s.at[at]);
    unsigned c, low;

    if (!utf16_at(s, at, &c)) {
        strbuf_add_char(out, sign != NULL ? meant[sign - signs] : s.at[at]);
        return at + 1;
    }
    at += 5;
    if (c >= 0xD800 && c <= 0xDBFF && at < s.len && s.at[at] == '\\' &&
        utf16_at(s, at + 1, &low) && low >= 0xDC00 && low <= 0xDFFF) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    strbuf_add_utf8(out, c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c); /* half of one is none */
    return at;
}

static struct str
property_part(struct arena *a, struct str s)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    for (size_t i = 0; i < s.len;) {
        if (s.at[i] == '\\' && i + 1 < s.len)
            i = unescape(s, i + 1, &out);
        else
            strbuf_add_char(&out, s.at[i++]);
    }
    return arena_dup(a, strbuf_str(&out));
}

static bool
goes_on(struct str line)
{
    size_t slashes = 0;

    while (slashes < line.len && line.at[line.len - 1 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 1;
}

static struct str
trim_left(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t' || s.at[0] == '\f'))
        s = str_slice(s, 1, s.len);
    return s;
}

/* key=value, key: value or "key value"; the key ends at the first such sign without a backslash. */
static void
add_property(struct arena *a, struct map *to, struct str line)
{
    size_t end = 0;
    struct str rest;

    while (end < line.len && strchr("=: \t", line.at[end]) == NULL)
        end += line.at[end] == '\\' && end + 1 < line.len ? 2 : 1;
    rest = trim_left(str_slice(line, end, line.len));
    if (rest.len > 0 && (rest.at[0] == '=' || rest.at[0] == ':'))
        rest = trim_left(str_slice(rest, 1, rest.len));
    map_put(a, to, value_text(property_part(a, str_slice(line, 0, end))),
            value_text(property_part(a, rest)));
}

static void
add_properties(struct arena *a, struct map *to, struct str text)
{
    cleanup(strbuf_done) struct strbuf joined = {0};
    struct str line;

    while (str_split(&text, '\n', &line)) {
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line = str_slice(line, 0, line.len - 1);
        line = trim_left(line);
        if (joined.len == 0 && (line.len == 0 || line.at[0] == '#' || line.at[0] == '!'))
            continue;
        if (goes_on(line)) {
            strbuf_add(&joined, str_slice(line, 0, line.len - 1));
            continue;
        }
        strbuf_add(&joined, line);
        add_property(a, to, strbuf_str(&joined));
        strbuf_clear(&joined);
    }
    if (joined.len > 0)
        add_property(a, to, strbuf_str(&joined));
}

/* What ${...} may still cost; circles and doublings come to an end at it. */
struct interpolation {
    const struct map *map;
    size_t key_max, visits_left, bytes_left;
};

/* The value that `${key}` at the start of `s` stands for, or NULL; `close` is where the next brace
 * closes, kept from one look to the next. */
static const struct value *
reference_at(struct interpolation *p, struct str s, size_t i, size_t *close)
{
    struct str key;

    if (!str_starts(str_slice(s, i, s.len), STR("${")))
        return NULL;
    if (*close < i + 2) {
        const ptrdiff_t found = str_index(str_slice(s, i + 2, s.len), '}');
        *close = found < 0 ? SIZE_MAX : i + 2 + (size_t)found;
    }
    if (*close == SIZE_MAX)
        return NULL;
    key = str_slice(s, i + 2, *close);
    if (key.len > p->key_max)
        return NULL;
    p->visits_left -= key.len / VALUE_BYTES_A_VISIT > p->visits_left
                          ? p->visits_left
                          : key.len / VALUE_BYTES_A_VISIT;
    return map_find(p->map, value_text(key));
}

static bool
add_interpolated(struct interpolation *p, struct strbuf *out, struct str s, unsigned depth)
{
    if (p->visits_left == 0 || p->bytes_left < s.len)
        return false;
    p->visits_left--;
    p->bytes_left -= s.len;
    for (size_t i = 0, close = 0; i < s.len;) {
        const struct value *v = reference_at(p, s, i, &close);
        if (p->visits_left == 0)
            return false;
        if (v != NULL && depth < INTERPOLATED_DEPTH_MAX) {
            if (!add_interpolated(p, out, v->text, depth + 1))
                return false;
            i = close + 1;
        } else {
            strbuf_add_char(out, s.at[i++]);
        }
    }
    return true;
}

/* ${other} of the same file, to a depth that ends circles. */
static bool
interpolate(struct step_call *s, struct map *m)
{
    struct interpolation p = {m, 0, INTERPOLATED_VISITS_MAX, INTERPOLATED_BYTES_MAX};

    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].key.type == V_TEXT && m->at[i].key.text.len > p.key_max)
            p.key_max = m->at[i].key.text.len;
    for (size_t i = 0; i < m->count; i++) {
        cleanup(strbuf_done) struct strbuf out = {0};
        if (!add_interpolated(&p, &out, m->at[i].value.text, 0))
            return step_fail(s, "readProperties: the references in the values grow beyond bounds");
        m->at[i].value = value_text(arena_dup(&s->run->arena, strbuf_str(&out)));
    }
    return true;
}

static bool
step_read_properties(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct arena *a = &s->run->arena;
    const struct value *defaults = step_value(s, "defaults");
    struct value v = value_map(a);

    if (!read_source(s, &text))
        return false;
    for (size_t i = 0; defaults != NULL && defaults->type == V_MAP && i < defaults->map->count; i++)
        map_put(a, v.map, defaults->map->at[i].key,
                value_text(value_to_text(a, defaults->map->at[i].value)));
    add_properties(a, v.map, strbuf_str(&text));
    if (step_truth(s, "interpolate", false) && !interpolate(s, v.map))
        return false;
    *s->out = v;
    return true;
}

/* RFC 4180: quotes around fields, "" for a quote in them, CRLF or LF. */
static bool
step_read_csv(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0}, field = {0};
    struct arena *a = &s->run->arena;
    struct value rows = value_list(a), row = value_list(a);
    bool quoted = false, any = false;
    struct str t;

    if (step_value(s, "format") != NULL)
        return step_fail(s, "readCSV: 'format' is not supported; fields are separated by commas");
    if (!read_source(s, &text))
        return false;
    t = strbuf_str(&text);
    if (step_value(s, "text") != NULL)
        t = str_slice(t, 1, t.len); /* the line break that read_source() put first */
    for (size_t i = 0; i <= t.len; i++) {
        const char c = i < t.len ? t.at[i] : '\n';
        if (quoted && i < t.len) {
            if (c == '"' && i + 1 < t.len && t.at[i + 1] == '"')
                strbuf_add_char(&field, t.at[i++]);
            else if (c == '"')
                quoted = false;
            else
                strbuf_add_char(&field, c);
        } else if (c == '"' && field.len == 0) {
            quoted = any = true;
        } else if (c == ',' || c == '\n') {
            struct str f = strbuf_str(&field);
            if (c == '\n' && f.len > 0 && f.at[f.len - 1] == '\r')
                f = str_slice(f, 0, f.len - 1);
            if (c == ',' || any || f.len > 0 || row.list->count > 0) {
                list_add(a, row.list, value_text(arena_dup(a, f)));
                any = false;
            }
            strbuf_clear(&field);
            if (c == '\n' && row.list->count > 0) {
                list_add(a, rows.list, row);
                row = value_list(a);
            }
        } else {
            strbuf_add_char(&field, c);
        }
    }
    *s->out = rows;
    return true;
}

static void
add_csv_field(struct strbuf *out, struct str f)
{
    bool quotes = str_index(f, ',') >= 0 || str_index(f, '"') >= 0 || str_index(f, '\n') >= 0 ||
                  str_index(f, '\r') >= 0;

    if (!quotes) {
        strbuf_add(out, f);
        return;
    }
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < f.len; i++) {
        if (f.at[i] == '"')
            strbuf_add_char(out, '"');
        strbuf_add_char(out, f.at[i]);
    }
    strbuf_add_char(out, '"');
}

static bool
step_write_csv(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    const struct value *records = step_value(s, "records");

    if (step_value(s, "format") != NULL)
        return step_fail(s, "writeCSV: 'format' is not supported; fields are separated by commas");
    if (records == NULL || records->type != V_LIST)
        return step_fail(s, "writeCSV needs a list of records");
    for (size_t i = 0; i < records->list->count; i++) {
        const struct value *row = &records->list->at[i];
        if (row->type != V_LIST)
            return step_fail(s, "a record of writeCSV is a list of fields");
        for (size_t k = 0; k < row->list->count; k++) {
            if (k > 0)
                strbuf_add_char(&out, ',');
            add_csv_field(&out, value_to_text(&s->run->arena, row->list->at[k]));
        }
        strbuf_add_cstr(&out, "\r\n");
    }
    return write_result(s, strbuf_str(&out));
}

/* Elements that are lists in Maven's model; all others with children are maps. */
static bool
is_pom_list(struct str name)
{
    static const char *const lists[] = {"dependencies", "modules",    "plugins",  "repositories",
                                        "profiles",     "exclusions", "licenses", "developers",
                                        "executions",   "goals",      "resources"};

    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        if (str_is(name, lists[i]))
            return true;
    return false;
}

static struct value
pom_value(struct arena *a, const struct xml *x)
{
    bool is_list = is_pom_list(x->name);
    struct value v;

    if (x->first == NULL && !is_list)
        return value_text(str_trim(x->text));
    v = is_list ? value_list(a) : value_map(a);
    for (const struct xml *c = x->first; c != NULL; c = c->next) {
        if (is_list)
            list_add(a, v.list, pom_value(a, c));
        else
            map_put(a, v.map, value_text(c->name), pom_value(a, c));
    }
    return v;
}

static bool
step_read_maven_pom(struct step_call *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct arena *a = &s->run->arena;
    const char *path;
    const struct xml *root;
    struct err err;

    if (!step_needs_workspace(s))
        return false;
    path = step_path(s, step_text(s, "file", "pom.xml"));
    if (!file_read_plain(path, DATA_MAX, &text, &err))
        return interp_throw(s->in, s->at, "FileNotFoundException", "%s", err.message);
    root = data_xml_parse(a, strbuf_str(&text), &err);
    if (root == NULL || !str_is(root->name, "project"))
        return step_fail(s, "'%s' is not a Maven project%s%s", path, root == NULL ? ": " : "",
                         root == NULL ? err.message : "");
    *s->out = pom_value(a, root);
    if (s->out->type != V_MAP)
        *s->out = value_map(a);
    if (map_find_text(s->out->map, "packaging") == NULL)
        map_put_text(a, s->out->map, "packaging", value_text(STR("jar")));
    if (map_find_text(s->out->map, "properties") == NULL)
        map_put_text(a, s->out->map, "properties", value_map(a));
    return true;
}

step_function *
step_data_find(struct str name)
{
    static const struct step_row table[] = {
        {"readJSON", step_read_json},
        {"writeJSON", step_write_json},
        {"readYaml", step_read_yaml},
        {"writeYaml", step_write_yaml},
        {"readProperties", step_read_properties},
        {"readCSV", step_read_csv},
        {"writeCSV", step_write_csv},
        {"readMavenPom", step_read_maven_pom},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
