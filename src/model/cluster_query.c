/* SPDX-License-Identifier: MIT */
#include "model/cluster_query.h"
#include <assert.h>
#include "base/clock.h"
#include "model/pattern.h"

enum subject {
    AGENT_CONNECTED, AGENT_VERSION, ATTRIBUTE, EC2_INSTANCE_ID, REGISTERED_AT, RUNNING_TASKS, TASK_GROUP
};
enum comparison { EQUALS, GREATER, GREATER_EQUAL, EXISTS, IN, MATCHES };
enum node_kind { NODE_TEST, NODE_AND, NODE_OR, NODE_NOT };

struct node {
    enum node_kind kind;
    enum subject subject;
    enum comparison comparison;
    bool is_negated;          /* of a test: != !in !exists !~ < <= */
    char *name;               /* of the attribute */
    char **values;            /* one, or the list of `in` */
    int value_count;
    int64_t number;           /* registeredAt in ms, runningTasksCount */
    struct pattern *pattern;  /* of =~ */
    int left, right;          /* of AND and OR; NOT: left */
};

struct cluster_query {
    struct node *nodes;
    int count, capacity, root;
};

struct reader {
    struct cluster_query *q;
    struct str text;
    size_t pos;
    int depth;
    struct err *err;
};

/* ---- words ---- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '/' || c == '-' || c == '+' || c == '@' ||
           (unsigned char)c >= 0x80;
}

static void
skip_blanks(struct reader *r)
{
    while (r->pos < r->text.len && is_blank(r->text.at[r->pos]))
        r->pos++;
}

static struct str
rest(const struct reader *r)
{
    return str_slice(r->text, r->pos, r->text.len);
}

static bool
fail(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_INVALID_PARAMETER, "%s at character %zu of '" STR_FMT "'", what,
                   r->pos + 1, STR_ARG(str_slice(r->text, 0, 200)));
}

static bool
accept(struct reader *r, const char *sign)
{
    skip_blanks(r);
    if (!str_starts(rest(r), str_of(sign)))
        return false;
    r->pos += strlen(sign);
    return true;
}

static struct str
peek_word(struct reader *r)
{
    size_t end;

    skip_blanks(r);
    for (end = r->pos; end < r->text.len && is_word(r->text.at[end]); end++)
        ;
    return str_slice(r->text, r->pos, end);
}

static bool
accept_word(struct reader *r, const char *word)
{
    if (!str_is(peek_word(r), word))
        return false;
    r->pos += strlen(word);
    return true;
}

/* ---- the tree ---- */

static int
add_node(struct reader *r, enum node_kind kind, int left, int right)
{
    struct cluster_query *q = r->q;

    if (q->count == q->capacity) {
        q->capacity = q->capacity == 0 ? 8 : q->capacity * 2;
        q->nodes = mem_grow(q->nodes, (size_t)q->capacity, sizeof(q->nodes[0]));
    }
    q->nodes[q->count] = (struct node){.kind = kind, .left = left, .right = right};
    return q->count++;
}

static void
add_value(struct node *n, struct str value)
{
    n->values = mem_grow(n->values, (size_t)n->value_count + 1, sizeof(n->values[0]));
    n->values[n->value_count++] = str_dup(value);
}

/* ---- one test: subject operator argument ---- */

static bool
read_subject(struct reader *r, struct node *n)
{
    static const struct {
        const char *name;
        enum subject subject;
    } names[] = {
        {"agentConnected", AGENT_CONNECTED}, {"agentVersion", AGENT_VERSION},
        {"ec2InstanceId", EC2_INSTANCE_ID},  {"registeredAt", REGISTERED_AT},
        {"runningTasksCount", RUNNING_TASKS}, {"task:group", TASK_GROUP},
    };
    const struct str word = peek_word(r);

    if (str_starts(word, STR("attribute:")) && word.len > 10) {
        n->subject = ATTRIBUTE;
        n->name = str_dup(str_slice(word, 10, word.len));
        r->pos += word.len;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!str_is(word, names[i].name))
            continue;
        n->subject = names[i].subject;
        r->pos += word.len;
        return true;
    }
    return fail(r, "a subject (agentConnected, agentVersion, attribute:NAME, ec2InstanceId, registeredAt, "
                   "runningTasksCount, task:group) is expected");
}

static bool
read_operator(struct reader *r, struct node *n)
{
    static const struct {
        const char *sign, *word;
        enum comparison comparison;
        bool is_negated;
    } operators[] = { /* a longer sign before its beginning */
        {"==", "equals", EQUALS, false},
        {"!=", "not_equals", EQUALS, true},
        {">=", "greater_than_equal", GREATER_EQUAL, false},
        {">", "greater_than", GREATER, false},
        {"<=", "less_than_equal", GREATER, true},
        {"<", "less_than", GREATER_EQUAL, true},
        {"=~", "matches", MATCHES, false},
        {"!~", "not_matches", MATCHES, true},
        {"!exists", "not_exists", EXISTS, true},
        {"!in", "not_in", IN, true},
        {NULL, "exists", EXISTS, false},
        {NULL, "in", IN, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (!accept_word(r, operators[i].word) &&
            (operators[i].sign == NULL || !accept(r, operators[i].sign)))
            continue;
        n->comparison = operators[i].comparison;
        n->is_negated = operators[i].is_negated;
        return true;
    }
    return fail(r, "an operator (==, !=, >, >=, <, <=, exists, !exists, in, !in, =~, !~) is expected");
}

static bool
read_quoted(struct reader *r, struct str *out)
{
    const char quote = r->text.at[r->pos];
    const ptrdiff_t end = str_index(str_slice(r->text, r->pos + 1, r->text.len), quote);

    if (end < 0)
        return fail(r, "a quote is not closed");
    *out = str_slice(r->text, r->pos + 1, r->pos + 1 + (size_t)end);
    r->pos += (size_t)end + 2;
    return true;
}

static bool
read_value(struct reader *r, struct str *out)
{
    skip_blanks(r);
    if (r->pos < r->text.len && (r->text.at[r->pos] == '"' || r->text.at[r->pos] == '\''))
        return read_quoted(r, out);
    *out = peek_word(r);
    if (out->len == 0)
        return fail(r, "a value is expected");
    r->pos += out->len;
    return true;
}

static bool
read_list(struct reader *r, struct node *n)
{
    struct str value;

    if (!accept(r, "["))
        return fail(r, "a list [a, b] is expected");
    do {
        if (n->value_count == CLUSTER_QUERY_LIST_MAX)
            return fail(r, "the list has more than 100 items");
        if (!read_value(r, &value))
            return false;
        add_value(n, value);
    } while (accept(r, ","));
    return accept(r, "]") || fail(r, "a ',' or ']' is expected");
}

/* It ends with a blank, or with a ')' that it did not open. */
static struct str
pattern_text(struct reader *r)
{
    size_t end;
    int depth = 0;
    bool in_class = false;

    skip_blanks(r);
    for (end = r->pos; end < r->text.len && !is_blank(r->text.at[end]); end++) {
        const char c = r->text.at[end];
        if (c == '\\' && end + 1 < r->text.len)
            end++;
        else if (c == '[')
            in_class = true;
        else if (c == ']')
            in_class = false;
        else if (c == '(' && !in_class)
            depth++;
        else if (c == ')' && !in_class && --depth < 0)
            break;
    }
    return str_slice(r->text, r->pos, end);
}

static bool
read_pattern(struct reader *r, struct node *n)
{
    struct str text;

    skip_blanks(r);
    if (r->pos < r->text.len && (r->text.at[r->pos] == '"' || r->text.at[r->pos] == '\'')) {
        if (!read_quoted(r, &text))
            return false;
    } else {
        text = pattern_text(r);
        r->pos += text.len;
    }
    if (text.len == 0)
        return fail(r, "a regular expression is expected");
    n->pattern = pattern_parse(text, r->err);
    return n->pattern != NULL;
}

/* YYYY-MM-DD, or with Thh:mm:ss, a fraction, and an offset (UTC without). */
static bool
parse_date(struct str s, int64_t *ms_out)
{
    const bool has_offset = s.len > 19 && (str_ends(s, STR("Z")) || s.at[s.len - 6] == '+' ||
                                           s.at[s.len - 6] == '-');
    char text[48];

    if (s.len >= sizeof(text) - 12)
        return false;
    (void)text_copy(text, sizeof(text), s);
    memcpy(text + s.len, s.len == 10 ? "T00:00:00Z" : has_offset ? "" : "Z",
           s.len == 10 ? 11 : has_offset ? 1 : 2);
    return clock_parse_iso(str_of(text), ms_out);
}

/* ---- does operator and argument suit the subject? ---- */

/* The types that have an order, or another notion of being equal than texts. */
static bool
read_typed(struct reader *r, struct node *n)
{
    const struct str value = str_of(n->values[0]);
    const bool is_order = n->comparison == GREATER || n->comparison == GREATER_EQUAL;

    switch (n->subject) {
    case REGISTERED_AT:
        return parse_date(value, &n->number) ||
               fail(r, "a date (2026-01-31 or 2026-01-31T10:00:00Z) is expected before what stands");
    case RUNNING_TASKS:
        return str_to_i64(value, &n->number) || fail(r, "a number is expected before what stands");
    case AGENT_CONNECTED:
        return str_is(value, "true") || str_is(value, "false") ||
               fail(r, "true or false is expected before what stands");
    case ATTRIBUTE:
        return !is_order || str_to_i64(value, &n->number) ||
               fail(r, "attributes are in an order only with numbers; a number is expected before what stands");
    default:
        return true;
    }
}

static bool
suits(enum subject subject, enum comparison comparison)
{
    switch (comparison) {
    case EQUALS:
        return true;
    case GREATER:
    case GREATER_EQUAL:
        return subject == AGENT_VERSION || subject == REGISTERED_AT || subject == RUNNING_TASKS ||
               subject == ATTRIBUTE;
    case EXISTS:
        return subject == ATTRIBUTE;
    case IN:
    case MATCHES:
        return subject == AGENT_VERSION || subject == ATTRIBUTE || subject == EC2_INSTANCE_ID ||
               subject == TASK_GROUP;
    }
    return false;
}

static bool
read_argument(struct reader *r, struct node *n)
{
    struct str value;

    if (!suits(n->subject, n->comparison))
        return fail(r, "the operator does not suit the subject before it");
    switch (n->comparison) {
    case EXISTS:
        return true;
    case IN:
        return read_list(r, n);
    case MATCHES:
        return read_pattern(r, n);
    default:
        if (!read_value(r, &value))
            return false;
        add_value(n, value);
        return read_typed(r, n);
    }
}

static bool
read_test(struct reader *r, int *out)
{
    *out = add_node(r, NODE_TEST, -1, -1);
    /* Nothing below adds a node, so the pointer holds. */
    return read_subject(r, &r->q->nodes[*out]) && read_operator(r, &r->q->nodes[*out]) &&
           read_argument(r, &r->q->nodes[*out]);
}

/* ---- and, or, not ---- */

static bool read_or(struct reader *r, int *out);

static bool
read_unary(struct reader *r, int *out)
{
    int inner;

    if (r->depth == CLUSTER_QUERY_DEPTH_MAX)
        return fail(r, "nested too deeply");
    r->depth++;
    if (accept_word(r, "not") || accept(r, "!")) {
        if (!read_unary(r, &inner))
            return false;
        *out = add_node(r, NODE_NOT, inner, -1);
    } else if (accept(r, "(")) {
        if (!read_or(r, out))
            return false;
        if (!accept(r, ")"))
            return fail(r, "a ')' is expected");
    } else if (!read_test(r, out)) {
        return false;
    }
    r->depth--;
    return true;
}

static bool
read_and(struct reader *r, int *out)
{
    int right;

    if (!read_unary(r, out))
        return false;
    while (accept_word(r, "and") || accept(r, "&&")) {
        if (!read_unary(r, &right))
            return false;
        *out = add_node(r, NODE_AND, *out, right);
    }
    return true;
}

static bool
read_or(struct reader *r, int *out)
{
    int right;

    if (!read_and(r, out))
        return false;
    while (accept_word(r, "or") || accept(r, "||")) {
        if (!read_and(r, &right))
            return false;
        *out = add_node(r, NODE_OR, *out, right);
    }
    return true;
}

struct cluster_query *
cluster_query_parse(struct str text, struct err *err)
{
    struct cluster_query *q = mem_new(sizeof(*q));
    struct reader r = {.q = q, .text = text, .err = err};
    bool is_sound;

    if (text.len > CLUSTER_QUERY_LENGTH_MAX)
        is_sound = err_set(err, ERR_INVALID_PARAMETER, "it is longer than %d characters",
                           CLUSTER_QUERY_LENGTH_MAX);
    else
        is_sound = read_or(&r, &q->root);
    if (is_sound) {
        skip_blanks(&r);
        is_sound = r.pos == text.len || fail(&r, "'and', 'or' or the end is expected");
    }
    if (!is_sound)
        cluster_query_free(TAKE(q));
    return q;
}

void
cluster_query_free(struct cluster_query *q)
{
    if (q == NULL)
        return;
    for (int i = 0; i < q->count; i++) {
        struct node *n = &q->nodes[i];
        for (int k = 0; k < n->value_count; k++)
            free(n->values[k]);
        free(n->values);
        free(n->name);
        pattern_free(n->pattern);
    }
    free(q->nodes);
    free(q);
}

/* ---- evaluation ---- */

/* "1.50.0" before "1.9.0" as texts, but not as versions. */
static int
compare_versions(struct str a, struct str b)
{
    struct str part_a, part_b;

    for (;;) {
        const bool has_a = str_split(&a, '.', &part_a), has_b = str_split(&b, '.', &part_b);
        int64_t x = 0, y = 0;
        if (!has_a && !has_b)
            return 0;
        if (has_a && !str_to_i64(part_a, &x))
            x = -1; /* "dev" is older than any number */
        if (has_b && !str_to_i64(part_b, &y))
            y = -1;
        if (x != y)
            return x < y ? -1 : 1;
    }
}

static int
compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static bool
text_holds(const struct node *n, struct str text)
{
    if (n->comparison == MATCHES)
        return pattern_matches(n->pattern, text);
    for (int i = 0; i < n->value_count; i++) {
        if (str_is(text, n->values[i]))
            return true;
    }
    return false;
}

static bool
order_holds(const struct node *n, int order)
{
    return n->comparison == EQUALS ? order == 0 : n->comparison == GREATER ? order > 0 : order >= 0;
}

static bool
is_order(const struct node *n)
{
    return n->comparison == GREATER || n->comparison == GREATER_EQUAL;
}

/* `in_order` false: an order was asked for and there is none, so neither < nor >= holds. */
static bool
attribute_holds(const struct node *n, const struct query_instance *i, bool *in_order)
{
    struct str value = {0};
    int64_t number;

    if (!i->attribute(i->ctx, str_of(n->name), &value)) {
        *in_order = !is_order(n);
        return false;
    }
    if (n->comparison == EXISTS)
        return true;
    if (!is_order(n))
        return text_holds(n, value);
    *in_order = str_to_i64(value, &number);
    return *in_order && order_holds(n, compare_numbers(number, n->number));
}

static bool
any_group_holds(const struct node *n, const struct query_instance *i)
{
    const char *group;

    for (int k = 0; (group = i->task_group(i->ctx, k)) != NULL; k++) {
        if (text_holds(n, str_of(group)))
            return true;
    }
    return false;
}

static bool
test_holds(const struct node *n, const struct query_instance *i)
{
    bool holds = false, in_order = true;

    switch (n->subject) {
    case AGENT_CONNECTED:
        holds = strcmp(n->values[0], i->is_connected ? "true" : "false") == 0;
        break;
    case AGENT_VERSION:
        holds = is_order(n) || n->comparison == EQUALS
                    ? order_holds(n, compare_versions(str_of(i->agent_version), str_of(n->values[0])))
                    : text_holds(n, str_of(i->agent_version));
        break;
    case ATTRIBUTE:
        holds = attribute_holds(n, i, &in_order);
        break;
    case EC2_INSTANCE_ID:
        holds = text_holds(n, str_of(i->ec2_instance_id));
        break;
    case REGISTERED_AT:
        holds = order_holds(n, compare_numbers(i->registered_at_ms, n->number));
        break;
    case RUNNING_TASKS:
        holds = order_holds(n, compare_numbers(i->running_tasks, n->number));
        break;
    case TASK_GROUP:
        holds = any_group_holds(n, i);
        break;
    }
    return in_order && holds != n->is_negated;
}

static bool
node_holds(const struct cluster_query *q, int at, const struct query_instance *i)
{
    const struct node *n = &q->nodes[at];

    switch (n->kind) {
    case NODE_TEST:
        return test_holds(n, i);
    case NODE_AND:
        return node_holds(q, n->left, i) && node_holds(q, n->right, i);
    case NODE_OR:
        return node_holds(q, n->left, i) || node_holds(q, n->right, i);
    case NODE_NOT:
        return !node_holds(q, n->left, i);
    }
    return false;
}

bool
cluster_query_matches(const struct cluster_query *q, const struct query_instance *instance)
{
    assert(q->count > 0);
    return node_holds(q, q->root, instance);
}

bool
cluster_query_is_of_attributes(const struct cluster_query *q)
{
    for (int i = 0; i < q->count; i++) {
        if (q->nodes[i].kind == NODE_TEST && q->nodes[i].subject != ATTRIBUTE)
            return false;
    }
    return true;
}
