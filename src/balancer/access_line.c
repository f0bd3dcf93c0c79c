/* SPDX-License-Identifier: MIT */
#include "balancer/access_line.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/crypto.h"

#define SAMPLE_FIELDS "%TR %Tw %Tc %Tr %Ta %b %si %sp %ST %tsc "

#define FULL_FIELDS                                                                                \
    " %Ts %ms %Th %Ti %ci %cp %U %B %sslc %sslv %[var(txn.l_method)] %[var(txn.l_version)]"       \
    " %[var(txn.l_url),base64] %[var(txn.l_host),base64] %[var(txn.l_agent),base64]"              \
    " %[var(txn.l_trace),base64] %[var(txn.l_location),base64] %[var(txn.l_name),base64]"         \
    " %[var(sess.l_id)]"

void
access_line_format(bool is_full, const char *listener_id, bool has_rules, struct strbuf *out)
{
    strbuf_addf(out, "%c %s ", is_full ? 'F' : 'S', listener_id);
    strbuf_add_cstr(out, SAMPLE_FIELDS);
    if (has_rules)
        strbuf_add_cstr(out, "%[var(txn.hit),field(1,|)]");
    else
        strbuf_add_char(out, '-');
    if (is_full)
        strbuf_add_cstr(out, FULL_FIELDS);
}

/* ---- reading ---- */

#define FIELDS_MAX 40

struct fields {
    struct str at[FIELDS_MAX];
    int count, next;
    bool is_bad;
};

static struct str
take(struct fields *f)
{
    struct str field = {0};

    if (f->next >= f->count)
        f->is_bad = true;
    else
        field = f->at[f->next++];
    return str_is(field, "-") ? (struct str){0} : field;
}

static int64_t
take_number(struct fields *f, int64_t min, int64_t max)
{
    const struct str field = take(f);
    int64_t n = 0;

    if (field.len == 0 && min <= 0)
        return 0;
    if (!str_to_i64(field, &n) || n < min || n > max)
        f->is_bad = true;
    return n;
}

/* A duration; its greatest is a year. */
static int64_t
take_ms(struct fields *f)
{
    return take_number(f, -1, INT64_C(31536000000));
}

/* Names of ours and addresses: nothing that could do harm in a file or a label. */
static struct str
take_word(struct fields *f)
{
    const struct str field = take(f);

    for (size_t i = 0; i < field.len; i++)
        if (field.at[i] <= ' ' || field.at[i] > '~' || field.at[i] == '"' || field.at[i] == '\\')
            f->is_bad = true;
    return field;
}

static void
take_sample(struct fields *f, struct access_line *l)
{
    l->request_ms = take_ms(f);
    l->queue_ms = take_ms(f);
    l->connect_ms = take_ms(f);
    l->response_ms = take_ms(f);
    l->total_ms = take_ms(f);
    l->backend = take_word(f);
    l->address = take_word(f);
    l->port = (int)take_number(f, 0, 65535);
    l->status = (int)take_number(f, -1, 999);
    l->ending = take_word(f);
    l->rule = take_word(f);
    if (l->status < 100)
        l->status = 0;
    /* 'R': while the request came in; 'L': what a rule answered itself. */
    l->is_refused = l->ending.len > 1 && l->ending.at[1] == 'R' && l->ending.at[0] != 'L';
}

static void
take_rest(struct fields *f, struct access_line *l)
{
    const int64_t seconds = take_number(f, 0, INT64_C(253402300799)); /* 9999 */

    l->accepted_ms = seconds * 1000 + take_number(f, 0, 999);
    l->handshake_ms = take_ms(f);
    l->idle_ms = take_ms(f);
    l->client = take_word(f);
    l->client_port = (int)take_number(f, 0, 65535);
    l->received_bytes = take_number(f, 0, INT64_MAX);
    l->sent_bytes = take_number(f, 0, INT64_MAX);
    l->cipher = take_word(f);
    l->protocol = take_word(f);
    l->method = take_word(f);
    l->version = take_word(f);
    l->url = take(f);
    l->host = take(f);
    l->agent = take(f);
    l->trace = take(f);
    l->location = take(f);
    l->server_name = take(f);
    l->connection = take_word(f);
}

bool
access_line_parse(struct str datagram, struct access_line *out)
{
    struct fields f = {0};
    struct str rest = str_trim(datagram), word;
    const ptrdiff_t level_end = str_index(rest, '>');

    *out = (struct access_line){0};
    if (!str_starts(rest, STR("<")) || level_end < 0 || level_end > 4)
        return false;
    rest = str_trim(str_slice(rest, (size_t)level_end + 1, rest.len));
    while (f.count < FIELDS_MAX && str_split(&rest, ' ', &word))
        f.at[f.count++] = word;
    word = take(&f);
    out->is_full = str_is(word, "F");
    if (!out->is_full && !str_is(word, "S"))
        return false;
    out->listener = take_word(&f);
    take_sample(&f, out);
    if (out->is_full)
        take_rest(&f, out);
    return !f.is_bad && f.next == f.count && rest.at == NULL && out->listener.len > 0;
}

bool
access_line_has_answer(const struct access_line *l)
{
    return l->response_ms >= 0 && l->address.len > 0 && l->status > 0;
}

/* HAProxy notes 400 for a client that goes away while it waits, Amazon 460. */
int
access_line_status(const struct access_line *l)
{
    const bool is_given_up = l->ending.len > 1 && l->ending.at[0] == 'C' && l->ending.at[1] != 'R' &&
                             !access_line_has_answer(l);

    return is_given_up ? 460 : l->status;
}

/* ---- writing ---- */

/* Inside quotes, as Amazon's: what could end the field or is no printable ASCII, as \xHH. */
static void
add_escaped(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.at[i];

        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            strbuf_addf(out, "\\x%02X", c);
        else
            strbuf_add_char(out, (char)c);
    }
}

/* What was in base64, or `fallback`. One that HAProxy cut is not valid, and left out. */
static void
add_decoded(struct strbuf *out, struct str encoded, const char *fallback)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (encoded.len > 0 && base64_decode(&text, encoded) && text.len > 0)
        add_escaped(out, strbuf_str(&text));
    else
        strbuf_add_cstr(out, fallback);
}

static void
add_word(struct strbuf *out, struct str word)
{
    strbuf_add(out, word.len > 0 ? word : STR("-"));
    strbuf_add_char(out, ' ');
}

static void
add_address(struct strbuf *out, struct str address, int port)
{
    if (address.len == 0)
        strbuf_add_cstr(out, "-");
    else if (str_index(address, ':') >= 0)
        strbuf_addf(out, "[" STR_FMT "]:%d", STR_ARG(address), port);
    else
        strbuf_addf(out, STR_FMT ":%d", STR_ARG(address), port);
}

static void
add_seconds(struct strbuf *out, bool is_known, int64_t ms)
{
    if (is_known)
        strbuf_addf(out, "%lld.%03d ", (long long)(ms / 1000), (int)(ms % 1000));
    else
        strbuf_add_cstr(out, "-1 ");
}

/* With the six digits that Amazon writes; HAProxy knows three of them. */
static void
add_time(struct strbuf *out, int64_t ms)
{
    char iso[32];
    const size_t len = (clock_format_iso(ms, iso), strlen(iso));

    strbuf_add(out, str_slice(str_of(iso), 0, len - 1));
    strbuf_add_cstr(out, "000Z");
}

/* Request, target, response. Once the head of an answer is there, HAProxy passes it on in the same turn. */
static void
add_times(struct strbuf *out, const struct access_line *l)
{
    const bool was_sent = l->queue_ms >= 0 && l->connect_ms >= 0 && l->address.len > 0;
    const bool has_answer = access_line_has_answer(l);

    add_seconds(out, was_sent && has_answer, l->queue_ms + l->connect_ms);
    add_seconds(out, has_answer, l->response_ms);
    add_seconds(out, has_answer, 0);
}

/* The load balancer's and the target's. */
static void
add_statuses(struct strbuf *out, const struct access_line *l)
{
    const int status = access_line_status(l);

    if (status > 0)
        strbuf_addf(out, "%d ", status);
    else
        strbuf_add_cstr(out, "- ");
    if (access_line_has_answer(l))
        strbuf_addf(out, "%d ", l->status);
    else
        strbuf_add_cstr(out, "- ");
}

static bool
is_websocket(const struct access_line *l)
{
    return l->status == 101;
}

static const char *
type_of(const struct access_line *l)
{
    const bool is_tls = l->protocol.len > 0;

    if (is_websocket(l))
        return is_tls ? "wss" : "ws";
    if (str_starts(l->version, STR("2")))
        return is_tls ? "h2" : "http";
    return is_tls ? "https" : "http";
}

/* Without the port that a client may put behind it. */
static void
add_host(struct strbuf *out, const struct access_line *l)
{
    cleanup(strbuf_done) struct strbuf host = {0};
    struct str name = {0};

    if (l->host.len > 0 && base64_decode(&host, l->host))
        name = strbuf_str(&host);
    const ptrdiff_t colon = str_rindex(name, ':');
    if (colon >= 0 && str_rindex(name, ']') < colon)
        name = str_slice(name, 0, (size_t)colon);
    if (name.len > 0)
        add_escaped(out, name);
    else
        strbuf_add_char(out, '-');
}

/* "GET http://host:80/path HTTP/1.1"; of one that was not understood "- http://-:80- -". */
static void
add_request(struct strbuf *out, const struct access_line *l, int port)
{
    strbuf_addf(out, "\"" STR_FMT " %s://", STR_ARG(l->method.len > 0 ? l->method : STR("-")),
                l->protocol.len > 0 ? "https" : "http");
    add_host(out, l);
    strbuf_addf(out, ":%d", port);
    add_decoded(out, l->url, "-");
    if (l->version.len > 0)
        strbuf_addf(out, " HTTP/" STR_FMT "\" ", STR_ARG(l->version));
    else
        strbuf_add_cstr(out, " -\" ");
}

static void
add_quoted(struct strbuf *out, struct str encoded)
{
    strbuf_add_char(out, '"');
    add_decoded(out, encoded, "-");
    strbuf_add_cstr(out, "\" ");
}

/* Which target group, trace, name, certificate. */
static void
add_where(struct strbuf *out, const struct access_line *l, const struct access_names *names)
{
    add_word(out, l->cipher);
    add_word(out, l->protocol);
    add_word(out, str_of(names->group_arn));
    add_quoted(out, l->trace);
    add_quoted(out, l->server_name);
    strbuf_addf(out, "\"%s\" ", names->certificate_arn != NULL ? names->certificate_arn : "-");
}

/* The rule, what it did, and what came of it. */
static void
add_decision(struct strbuf *out, const struct access_line *l, const struct access_names *names)
{
    const bool has_rule = !l->is_refused;
    const bool is_redirect = has_rule && strcmp(names->action, "redirect") == 0;

    if (has_rule)
        strbuf_addf(out, "%d ", names->priority);
    else
        strbuf_add_cstr(out, "- ");
    add_time(out, l->accepted_ms + l->handshake_ms + l->idle_ms);
    strbuf_addf(out, " \"%s\" ", has_rule ? names->action : "-");
    add_quoted(out, is_redirect ? l->location : (struct str){0});
    strbuf_add_cstr(out, "\"-\" \""); /* error_reason: of authentication, functions and firewalls only */
    add_address(out, l->address, l->port);
    if (access_line_has_answer(l))
        strbuf_addf(out, "\" \"%d\" ", l->status);
    else
        strbuf_add_cstr(out, "\" \"-\" ");
    strbuf_add_cstr(out, "\"-\" \"-\" TID_"); /* classification and its reason: such requests were refused */
}

static void
add_connection(struct strbuf *out, struct str uuid)
{
    if (uuid.len == 0)
        strbuf_add_cstr(out, "00000000000000000000000000000000");
    for (size_t i = 0; i < uuid.len; i++)
        if (uuid.at[i] != '-')
            strbuf_add_char(out, uuid.at[i]);
}

void
access_line_write(const struct access_line *l, const struct access_names *names, struct strbuf *out)
{
    const int64_t begun_ms = l->accepted_ms + l->handshake_ms + l->idle_ms;
    const bool is_early = access_line_has_answer(l) && !is_websocket(l) && l->request_ms >= 0 &&
                          l->queue_ms >= 0 && l->connect_ms >= 0;

    strbuf_addf(out, "%s ", type_of(l));
    add_time(out, is_early ? begun_ms + l->request_ms + l->queue_ms + l->connect_ms + l->response_ms
                           : begun_ms + (l->total_ms > 0 ? l->total_ms : 0));
    strbuf_addf(out, " %s ", names->load_balancer);
    add_address(out, l->client, l->client_port);
    strbuf_add_char(out, ' ');
    add_address(out, l->address, l->port);
    strbuf_add_char(out, ' ');
    add_times(out, l);
    add_statuses(out, l);
    strbuf_addf(out, "%lld %lld ", (long long)l->received_bytes, (long long)l->sent_bytes);
    add_request(out, l, names->port);
    add_quoted(out, l->agent);
    add_where(out, l, names);
    add_decision(out, l, names);
    add_connection(out, l->connection);
    strbuf_add_char(out, '\n');
}
