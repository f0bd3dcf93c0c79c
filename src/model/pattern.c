/* SPDX-License-Identifier: MIT */
#include "model/pattern.h"
#include <assert.h>
#include <ctype.h>
#include "model/pattern_program.h"

#define DEPTH_MAX 50 /* of groups in groups */
#define REPEAT_MAX 1000

/* PCRE writes a group that repeats out as often, and refuses what has then more than 64 KB: with what
 * a rule has around its five expressions, each may have this.  In bytes, rather too many. */
#define WEIGHT_MAX 12000
#define WEIGHT_OF_CLASS 44
#define WEIGHT_OF_CHARACTER 12
#define WEIGHT_OF_GROUP 24
#define WEIGHT_OF_ALTERNATIVE 4
#define WEIGHT_OF_ANCHOR 110 /* with the name of a header that it looks back at */

struct parser {
    struct pattern *p;
    struct str text;
    size_t pos;
    int depth;
    struct err *err;
    bool has_failed;

    /* Of pattern_translate(). */
    const struct pattern_dialect *dialect; /* NULL: nothing is written out, and cases differ */
    struct strbuf *out;
    int captures;
    int weight;
};

static void
fail(struct parser *x, const char *what)
{
    if (!x->has_failed)
        err_set(x->err, ERR_INVALID_PARAMETER,
                "The regular expression '" STR_FMT "' %s at character %zu.",
                STR_ARG(str_slice(x->text, 0, 100)), what, x->pos + 1);
    x->has_failed = true;
}

static int
peek(const struct parser *x)
{
    return x->pos < x->text.len ? (unsigned char)x->text.at[x->pos] : -1;
}

static bool
accept(struct parser *x, char c)
{
    if (peek(x) != (unsigned char)c)
        return false;
    x->pos++;
    return true;
}

static int
emit(struct parser *x, enum op op)
{
    struct pattern *p = x->p;

    if (p->count == PATTERN_SIZE_MAX) {
        fail(x, "is too large");
        return 0;
    }
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? 32 : p->capacity * 2;
        p->at = mem_grow(p->at, (size_t)p->capacity, sizeof(p->at[0]));
    }
    p->at[p->count] = (struct instruction){.op = op};
    return p->count++;
}

static void
set_add(uint8_t set[static 32], int low, int high)
{
    for (int c = low; c <= high; c++)
        set[c / 8] |= (uint8_t)(1 << (c % 8));
}

static void
set_negate(uint8_t set[static 32])
{
    for (int i = 0; i < 32; i++)
        set[i] = (uint8_t)~set[i];
}

static void
set_fold(uint8_t set[static 32])
{
    for (int c = 'a'; c <= 'z'; c++) {
        const int upper = toupper(c);
        if (set_has(set, c) || set_has(set, upper)) {
            set_add(set, c, c);
            set_add(set, upper, upper);
        }
    }
}

/* ---- written out ---- */

static void
weigh(struct parser *x, int bytes)
{
    x->weight += bytes;
    if (x->dialect != NULL && x->weight > WEIGHT_MAX)
        fail(x, "is too large");
}

static void
write_text(struct parser *x, const char *text)
{
    if (x->out != NULL)
        strbuf_add_cstr(x->out, text);
}

static void
write_byte(struct strbuf *out, int c)
{
    if (isalnum(c))
        strbuf_add_char(out, (char)c);
    else
        strbuf_addf(out, "\\x%02x", (unsigned)c);
}

static void
write_ranges(struct strbuf *out, const uint8_t set[static 32])
{
    for (int c = 0, last; c < 256; c = last + 1) {
        for (last = c; last < 255 && set_has(set, c) && set_has(set, last + 1);)
            last++;
        if (!set_has(set, c))
            continue;
        write_byte(out, c);
        if (last > c + 1)
            strbuf_add_char(out, '-');
        if (last > c)
            write_byte(out, last);
    }
}

/* No line ends in it, whatever it was: the text that it is looked for in is one line of several. */
static void
write_set(struct parser *x, uint8_t set[static 32])
{
    uint8_t rest[32];
    int count = 0;

    set_remove_line_ends(set);
    for (int c = 0; c < 256; c++)
        count += set_has(set, c);
    weigh(x, count == 1 ? WEIGHT_OF_CHARACTER : WEIGHT_OF_CLASS);
    if (x->out == NULL)
        return;
    memcpy(rest, set, sizeof(rest));
    set_negate(rest);
    if (count == 256 - 2)
        strbuf_add_cstr(x->out, "[^\\r\\n]");
    else if (count == 1)
        write_ranges(x->out, set);
    else {
        const bool is_negated = count > 128 || count == 0;
        strbuf_add_cstr(x->out, is_negated ? "[^" : "[");
        write_ranges(x->out, is_negated ? rest : set);
        strbuf_add_char(x->out, ']');
    }
}

static void
emit_set(struct parser *x, uint8_t set[static 32])
{
    int at;

    if (x->dialect != NULL && x->dialect->ignores_case)
        set_fold(set);
    if (x->dialect != NULL)
        write_set(x, set);
    at = emit(x, OP_SET);
    memcpy(x->p->at[at].set, set, 32);
}

/* ---- parts ---- */

/* \d \w \s and their opposites; false: `c` is no class. */
static bool
add_class(uint8_t set[static 32], int c)
{
    uint8_t named[32] = {0};

    switch (c | 0x20) {
    case 'd':
        set_add(named, '0', '9');
        break;
    case 'w':
        set_add(named, '0', '9');
        set_add(named, 'a', 'z');
        set_add(named, 'A', 'Z');
        set_add(named, '_', '_');
        break;
    case 's':
        set_add(named, '\t', '\r');
        set_add(named, ' ', ' ');
        break;
    default:
        return false;
    }
    if (c < 'a')
        set_negate(named);
    for (int i = 0; i < 32; i++)
        set[i] |= named[i];
    return true;
}

/* The character after a backslash, or -1 for what is refused. */
static int
escaped(struct parser *x)
{
    const int c = peek(x);

    x->pos++;
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    default: break;
    }
    if (c < 0) {
        fail(x, "ends with a backslash");
        return -1;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        fail(x, "has an escape that is not built in naru (back references, word boundaries, ...)");
        return -1;
    }
    return c;
}

/* One end of a range, or a class, inside [ ]; -1: it was a class. */
static int
class_item(struct parser *x, uint8_t set[static 32])
{
    if (!accept(x, '\\'))
        return (unsigned char)x->text.at[x->pos++];
    if (peek(x) >= 0 && add_class(set, peek(x))) {
        x->pos++;
        return -1;
    }
    return escaped(x);
}

static void
parse_class(struct parser *x)
{
    uint8_t set[32] = {0};
    const bool is_negated = accept(x, '^');
    bool is_first = true;

    while (!x->has_failed && (is_first || peek(x) != ']')) {
        int low, high;
        is_first = false;
        if (peek(x) < 0) {
            fail(x, "lacks a ']'");
            return;
        }
        low = high = class_item(x, set);
        if (low < 0)
            continue;
        if (peek(x) == '-' && x->pos + 1 < x->text.len && x->text.at[x->pos + 1] != ']') {
            x->pos++;
            high = class_item(x, set);
        }
        if (high < low) {
            fail(x, "has a range that ends before it begins");
            return;
        }
        set_add(set, low, high);
    }
    x->pos++;
    if (x->dialect != NULL && x->dialect->ignores_case)
        set_fold(set); /* before what is not in it is taken */
    if (is_negated)
        set_negate(set);
    emit_set(x, set);
}

static void parse_alternatives(struct parser *x);

static void
parse_group(struct parser *x)
{
    bool is_plain = accept(x, '?');

    if (is_plain && !accept(x, ':')) {
        fail(x, "has a group that is not built in naru (look-around, flags, names)");
        return;
    }
    if (!is_plain)
        x->captures++;
    is_plain = is_plain || (x->dialect != NULL && !x->dialect->has_captures);
    write_text(x, is_plain ? "(?:" : "(");
    weigh(x, WEIGHT_OF_GROUP);
    if (++x->depth > DEPTH_MAX) {
        fail(x, "is nested too deeply");
        return;
    }
    parse_alternatives(x);
    x->depth--;
    if (!accept(x, ')'))
        fail(x, "lacks a ')'");
    write_text(x, ")");
}

static void
parse_anchor(struct parser *x, enum op op)
{
    emit(x, op);
    weigh(x, WEIGHT_OF_ANCHOR);
    if (x->dialect != NULL)
        write_text(x, op == OP_BEGIN ? x->dialect->begin : x->dialect->end);
}

static void
parse_one(struct parser *x)
{
    const int c = peek(x);
    uint8_t set[32] = {0};
    int literal;

    x->pos++;
    switch (c) {
    case '(': parse_group(x); return;
    case '[': parse_class(x); return;
    case '^': parse_anchor(x, OP_BEGIN); return;
    case '$': parse_anchor(x, OP_END); return;
    case '*':
    case '+':
    case '?':
    case '{':
        x->pos--;
        fail(x, "has a quantifier with nothing before it");
        return;
    case '.':
        set_add(set, 0, 255);
        set['\n' / 8] &= (uint8_t)~(1 << ('\n' % 8));
        break;
    case '\\':
        if (peek(x) >= 0 && add_class(set, peek(x))) {
            x->pos++;
            break;
        }
        literal = escaped(x);
        if (literal < 0)
            return;
        set_add(set, literal, literal);
        break;
    default:
        set_add(set, c, c);
    }
    emit_set(x, set);
}

/* ---- repetition ---- */

/* Appends a copy of `piece`, which stood at `from` and only leads to itself or right behind it. */
static void
append_piece(struct parser *x, const struct instruction *piece, int count, int from)
{
    const int shift = x->p->count - from;

    for (int i = 0; i < count && !x->has_failed; i++) {
        const int at = emit(x, piece[i].op);
        x->p->at[at] = piece[i];
        x->p->at[at].to += shift;
        x->p->at[at].or_to += shift;
    }
}

/* Makes room for one instruction before `from`. */
static void
insert_split(struct parser *x, int from)
{
    const int last = emit(x, OP_SPLIT);

    if (x->has_failed)
        return;
    for (int i = last; i > from; i--) {
        x->p->at[i] = x->p->at[i - 1];
        x->p->at[i].to++;
        x->p->at[i].or_to++;
    }
    x->p->at[from] = (struct instruction){.op = OP_SPLIT, .to = from + 1};
}

/* The piece [from, end) as often as it likes. */
static void
star(struct parser *x, int from, bool is_group)
{
    int back;

    insert_split(x, from);
    back = emit(x, OP_JUMP);
    if (x->has_failed)
        return;
    x->p->at[back].to = from;
    x->p->at[back].is_group = is_group;
    x->p->at[from].or_to = x->p->count;
}

static void
optional(struct parser *x, int from)
{
    insert_split(x, from);
    if (!x->has_failed)
        x->p->at[from].or_to = x->p->count;
}

static bool
parse_count(struct parser *x, int *out)
{
    int n = 0, digits = 0;

    while (peek(x) >= '0' && peek(x) <= '9' && n <= REPEAT_MAX) {
        n = n * 10 + (peek(x) - '0');
        x->pos++;
        digits++;
    }
    *out = n;
    return digits > 0 && n <= REPEAT_MAX;
}

/* {m} {m,} {m,n}; max -1: without end. */
static void
parse_counts(struct parser *x, int *min, int *max)
{
    bool is_sound = parse_count(x, min);

    *max = *min;
    if (is_sound && accept(x, ',')) {
        *max = -1;
        if (peek(x) != '}')
            is_sound = parse_count(x, max) && *max >= *min;
    }
    if (!is_sound || !accept(x, '}'))
        fail(x, "has a repetition that is not {m}, {m,} or {m,n} up to 1000");
}

static void
repeat(struct parser *x, int from, int min, int max, bool is_group)
{
    const int count = x->p->count - from;
    cleanup_free struct instruction *piece = mem_new((size_t)(count + 1) * sizeof(*piece));

    if (count > 0)
        memcpy(piece, x->p->at + from, (size_t)count * sizeof(*piece));
    x->p->count = from;
    for (int i = 0; i < min && !x->has_failed; i++)
        append_piece(x, piece, count, from);
    for (int i = min; (i < max || (max < 0 && i == min)) && !x->has_failed; i++) {
        const int begin = x->p->count;
        append_piece(x, piece, count, from);
        if (x->has_failed)
            return;
        if (max < 0)
            star(x, begin, is_group);
        else
            optional(x, begin);
    }
}

/* What is taken more or less often goes as often as it likes: at least as many ways lead through it. */
static void
rough_counts(const struct parser *x, int from, int *min, int *max)
{
    const bool is_one = x->p->count == from + 1;

    if (*max == *min ? is_one : *max == 1 && *min == 0 && !is_one)
        return; /* (...)? has two ways only */
    *min = *min > 0;
    *max = -1;
}

static bool
is_quantifier(int c)
{
    return c == '*' || c == '+' || c == '?' || c == '{';
}

/* A character that repeats is one place to PCRE, a group as many as it may be there. */
static void
weigh_again(struct parser *x, int before, int min, int max)
{
    const int times = max > min ? max : min > 0 ? min : 1;

    if (x->dialect != NULL)
        weigh(x, (x->weight - before) * (times - 1));
}

static void
parse_repeated(struct parser *x)
{
    const int from = x->p->count, first = peek(x), before = x->weight;
    int min = 1, max = 1;
    size_t at;

    parse_one(x);
    if (x->has_failed)
        return;
    if (x->dialect != NULL && (first == '^' || first == '$') && is_quantifier(peek(x))) {
        fail(x, "has a quantifier behind '^' or '$'"); /* PCRE refuses it */
        return;
    }
    at = x->pos;
    if (accept(x, '*'))
        min = 0, max = -1;
    else if (accept(x, '+'))
        max = -1;
    else if (accept(x, '?'))
        min = 0;
    else if (accept(x, '{'))
        parse_counts(x, &min, &max);
    else
        return;
    (void)accept(x, '?'); /* lazy or not makes no difference to whether all of it matches */
    if (x->out != NULL)
        strbuf_add(x->out, str_slice(x->text, at, x->pos));
    if (!x->has_failed && first == '(')
        weigh_again(x, before, min, max);
    if (x->dialect != NULL && x->dialect->is_rough)
        rough_counts(x, from, &min, &max);
    if (!x->has_failed)
        repeat(x, from, min, max, first == '(');
    if (is_quantifier(peek(x)))
        fail(x, "has a quantifier behind a quantifier");
}

static void
parse_alternatives(struct parser *x)
{
    int jumps = -1; /* to the end of all, chained by their `to` until it is known */

    for (;;) {
        const int from = x->p->count;
        int jump;
        while (!x->has_failed && peek(x) >= 0 && peek(x) != '|' && peek(x) != ')')
            parse_repeated(x);
        if (x->has_failed || !accept(x, '|'))
            break;
        write_text(x, "|");
        weigh(x, WEIGHT_OF_ALTERNATIVE);
        insert_split(x, from);
        jump = emit(x, OP_JUMP);
        if (x->has_failed)
            return;
        x->p->at[from].or_to = x->p->count;
        x->p->at[jump].to = jumps;
        jumps = jump;
    }
    while (jumps >= 0 && !x->has_failed) {
        const int next = x->p->at[jumps].to;
        x->p->at[jumps].to = x->p->count;
        jumps = next;
    }
}

static bool
parse_all(struct parser *x)
{
    if (x->text.len > PATTERN_LENGTH_MAX)
        fail(x, "is longer than 2,000 characters");
    if (!x->has_failed)
        parse_alternatives(x);
    if (!x->has_failed && x->pos < x->text.len)
        fail(x, "has a ')' too many");
    if (!x->has_failed)
        emit(x, OP_DONE);
    return !x->has_failed;
}

struct pattern *
pattern_parse_as(struct str text, const struct pattern_dialect *dialect, struct err *err)
{
    struct pattern *p = mem_new(sizeof(*p));
    struct parser x = {.p = p, .text = text, .err = err, .dialect = dialect};

    if (!parse_all(&x))
        pattern_free(TAKE(p));
    return p;
}

struct pattern *
pattern_parse(struct str text, struct err *err)
{
    return pattern_parse_as(text, NULL, err);
}

bool
pattern_translate(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, int *captures_out,
                  struct err *err)
{
    struct pattern p = {0};
    struct parser x = {.p = &p, .text = text, .err = err, .dialect = dialect, .out = out};
    const bool is_sound = parse_all(&x);

    free(p.at);
    if (captures_out != NULL)
        *captures_out = x.captures;
    return is_sound;
}

void
pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    free(p->at);
    free(p);
}

/* ---- matching ---- */

struct places {
    int *at;      /* instructions of type SET, or DONE */
    int count;
    uint8_t *has; /* of each instruction: in this set already */
};

/* Adds `start` and all that it leads to without taking a byte. */
static void
add_place(const struct pattern *p, struct places *s, int *stack, int start, bool at_begin, bool at_end)
{
    int depth = 0;

    stack[depth++] = start;
    while (depth > 0) {
        const int i = stack[--depth];
        const struct instruction *in = &p->at[i];
        if (s->has[i])
            continue;
        s->has[i] = 1;
        switch (in->op) {
        case OP_SET:
        case OP_DONE:
            s->at[s->count++] = i;
            break;
        case OP_JUMP:
            stack[depth++] = in->to;
            break;
        case OP_SPLIT:
            stack[depth++] = in->or_to;
            stack[depth++] = in->to;
            break;
        case OP_BEGIN:
            if (at_begin)
                stack[depth++] = i + 1;
            break;
        case OP_END:
            if (at_end)
                stack[depth++] = i + 1;
            break;
        }
    }
}

static bool
run(const struct pattern *p, struct str text, struct places *now, struct places *then, int *stack)
{
    add_place(p, now, stack, 0, /* at_begin= */ true, text.len == 0);
    for (size_t i = 0; i < text.len && now->count > 0; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        const struct places before = *now;
        memset(then->has, 0, (size_t)p->count);
        then->count = 0;
        for (int k = 0; k < now->count; k++) {
            const struct instruction *in = &p->at[now->at[k]];
            if (in->op == OP_SET && set_has(in->set, c))
                add_place(p, then, stack, now->at[k] + 1, /* at_begin= */ false, i + 1 == text.len);
        }
        *now = *then;
        *then = before;
    }
    return now->count > 0 && now->has[p->count - 1];
}

bool
pattern_matches(const struct pattern *p, struct str text)
{
    const size_t n = (size_t)p->count;
    cleanup_free int *numbers = mem_new(n * 5 * sizeof(int));
    cleanup_free uint8_t *flags = mem_new(n * 2);
    struct places now = {.at = numbers, .has = flags}, then = {.at = numbers + n, .has = flags + n};

    assert(n > 0 && p->at[n - 1].op == OP_DONE);
    return run(p, text, &now, &then, /* stack= */ numbers + 2 * n);
}
