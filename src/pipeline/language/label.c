/* SPDX-License-Identifier: MIT */
#include "pipeline/language/label.h"

enum label_type { LABEL_NAME, LABEL_NOT, LABEL_AND, LABEL_OR, LABEL_IMPLIES, LABEL_IFF };

struct label {
    enum label_type type;
    struct str name;
    const struct label *left, *right; /* of LABEL_NOT the left one */
};

struct parser {
    struct str text;
    size_t at;
    unsigned depth;
    struct arena *arena;
    struct err *err;
};

static const struct label *parse_from(struct parser *p, enum label_type loosest);

static void
skip_blanks(struct parser *p)
{
    while (p->at < p->text.len && (p->text.at[p->at] == ' ' || p->text.at[p->at] == '\t'))
        p->at++;
}

static bool
comes(const struct parser *p, struct str sign)
{
    return str_starts(str_slice(p->text, p->at, p->text.len), sign);
}

static bool
take(struct parser *p, struct str sign)
{
    skip_blanks(p);
    if (!comes(p, sign))
        return false;
    p->at += sign.len;
    return true;
}

static const struct label *
wrong(struct parser *p, const char *what)
{
    err_set(p->err, ERR_VALIDATION, "%s in the label expression '%.200s'", what,
            arena_cstr(p->arena, p->text));
    return NULL;
}

static const struct label *
make(struct parser *p, enum label_type type, const struct label *left, const struct label *right)
{
    struct label *l = arena_alloc(p->arena, sizeof(*l));

    *l = (struct label){.type = type, .left = left, .right = right};
    return l;
}

static const struct label *
make_name(struct parser *p, struct str name)
{
    struct label *l = arena_alloc(p->arena, sizeof(*l));

    *l = (struct label){.type = LABEL_NAME, .name = arena_dup(p->arena, name)};
    return l;
}

static const struct label *
parse_quoted(struct parser *p)
{
    static const char escapes[] = "bb\bt\tn\nf\fr\r";
    char *name = arena_alloc(p->arena, p->text.len + 1);
    size_t len = 0;

    for (p->at++; p->at < p->text.len; p->at++) {
        char c = p->text.at[p->at];
        if (c == '"') {
            p->at++;
            return len > 0 ? make_name(p, (struct str){name, len}) : wrong(p, "an empty name");
        }
        if (c == '\\' && p->at + 1 < p->text.len) {
            const char *known = strchr(escapes + 1, c = p->text.at[++p->at]);
            c = c != '\0' && known != NULL && (known - escapes) % 2 == 1 ? known[1] : c;
        }
        name[len++] = c;
    }
    return wrong(p, "a name whose quotes do not end");
}

/* "x86-64" is one, "a->b" begins with one. */
static const struct label *
parse_plain(struct parser *p)
{
    const size_t start = p->at;

    while (p->at < p->text.len && p->text.at[p->at] != '\0' &&
           strchr("&|!<>() \t\"'", p->text.at[p->at]) == NULL && !comes(p, STR("->")))
        p->at++;
    return p->at > start ? make_name(p, str_slice(p->text, start, p->at))
                         : wrong(p, p->at < p->text.len ? "an unexpected sign" : "a name is missing");
}

static const struct label *
parse_one(struct parser *p)
{
    const struct label *l;

    if (p->depth >= LABEL_DEPTH_MAX)
        return wrong(p, "too many parentheses");
    if (!take(p, STR("(")))
        return comes(p, STR("\"")) ? parse_quoted(p) : parse_plain(p);
    p->depth++;
    l = parse_from(p, LABEL_IFF);
    p->depth--;
    if (l != NULL && !take(p, STR(")")))
        return wrong(p, "a ')' is missing");
    return l;
}

static const struct label *
parse_not(struct parser *p)
{
    const struct label *l;

    if (!take(p, STR("!")))
        return parse_one(p);
    l = parse_one(p);
    return l == NULL ? NULL : make(p, LABEL_NOT, l, NULL);
}

static struct str
sign_of(enum label_type type)
{
    switch (type) {
    case LABEL_AND: return STR("&&");
    case LABEL_OR: return STR("||");
    case LABEL_IMPLIES: return STR("->");
    case LABEL_IFF: return STR("<->");
    case LABEL_NAME:
    case LABEL_NOT: break;
    }
    return STR("");
}

/* All that binds as close as `loosest`, or closer. */
static const struct label *
parse_from(struct parser *p, enum label_type loosest)
{
    const bool is_many = loosest == LABEL_AND || loosest == LABEL_OR;
    const struct label *l =
        loosest == LABEL_NOT ? parse_not(p) : parse_from(p, (enum label_type)(loosest - 1));

    while (l != NULL && loosest != LABEL_NOT && take(p, sign_of(loosest))) {
        const struct label *right = parse_from(p, (enum label_type)(loosest - 1));
        l = right == NULL ? NULL : make(p, loosest, l, right);
        if (!is_many)
            break;
    }
    return l;
}

const struct label *
label_parse(struct str text, struct arena *a, size_t *offset_out, struct err *err)
{
    struct parser p = {.text = text, .arena = a, .err = err};
    const struct label *l;

    *offset_out = 0;
    if (text.len > LABEL_TEXT_MAX) {
        err_set(err, ERR_VALIDATION, "a label expression has at most %zu bytes", LABEL_TEXT_MAX);
        return NULL;
    }
    l = parse_from(&p, LABEL_IFF);
    skip_blanks(&p);
    if (l != NULL && p.at < text.len)
        l = wrong(&p, "something that does not belong");
    *offset_out = p.at;
    return l;
}

const struct label *
label_parse_any(struct str text, struct arena *a)
{
    struct parser p = {.text = text, .arena = a};
    size_t offset;
    struct err err;
    const struct label *l = label_parse(text, a, &offset, &err);

    return l != NULL ? l : make_name(&p, str_trim(text));
}

bool
label_holds(const struct label *l, bool (*has)(void *arg, struct str name), void *arg)
{
    switch (l->type) {
    case LABEL_NAME: return has(arg, l->name);
    case LABEL_NOT: return !label_holds(l->left, has, arg);
    case LABEL_AND: return label_holds(l->left, has, arg) && label_holds(l->right, has, arg);
    case LABEL_OR: return label_holds(l->left, has, arg) || label_holds(l->right, has, arg);
    case LABEL_IMPLIES: return !label_holds(l->left, has, arg) || label_holds(l->right, has, arg);
    case LABEL_IFF: return label_holds(l->left, has, arg) == label_holds(l->right, has, arg);
    }
    return false;
}

void
label_wants(const struct label *l, void (*each)(void *arg, struct str name), void *arg)
{
    if (l->type == LABEL_NAME) {
        each(arg, l->name);
    } else if (l->type == LABEL_AND || l->type == LABEL_OR) {
        label_wants(l->left, each, arg);
        label_wants(l->right, each, arg);
    }
}
