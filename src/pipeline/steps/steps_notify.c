/* SPDX-License-Identifier: MIT */
/* steps_notify.c - steps that tell the world: httpRequest, slackSend (an incoming webhook), mail
 * and emailext (SMTP).  A message that cannot be sent is said in the log and is never fatal, unless
 * failOnError says so.
 * Where to, from the build's environment or the server's: NARU_SMTP_URL ("smtp://mail:25"),
 * NARU_MAIL_FROM; the login is the secret `smtp` (password).  Slack: the secret that
 * tokenCredentialId names, or `slack`; its text is the webhook's URL. */
#include <ctype.h>
#include <time.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "io/http_client.h"
#include "io/mail.h"
#include "pipeline/run/credentials.h"
#include "pipeline/run/run_thread.h"
#include "pipeline/secrets.h"
#include "pipeline/groovy/value_json.h"

#define HEADERS_MAX 40
#define RECIPIENTS_MAX 100
#define TIMEOUT_MS ((int64_t)30 * 1000)
#define HTTP_TIMEOUT_MS ((int64_t)10 * 60 * 1000)

struct web_call {
    struct run_work work; /* first */
    struct http_call call;
    struct http_answer answer;
    struct err err;
    bool ok;
};

static bool
is_cancelled(void *arg)
{
    return atomic_load(&((struct run_work *)arg)->is_cancelled);
}

static void
call_web(struct run_work *work)
{
    struct web_call *w = (struct web_call *)work;
    struct http_client *client = http_client_new();

    w->call.is_cancelled = is_cancelled;
    w->call.arg = work;
    w->ok = http_client_call(client, &w->call, &w->answer, &w->err);
    http_client_free(client);
}

/* False: interrupted, thrown.  `w->ok` says whether an answer came. */
static bool
call_and_wait(struct step_call *s, struct web_call *w)
{
    w->work.work = call_web;
    if (run_on_thread(s->run, s->at, &w->work))
        return true;
    if (w->ok)
        http_answer_done(&w->answer);
    return false;
}

/* ---- httpRequest ---- */

struct header_list {
    const char *at[HEADERS_MAX + 1];
    size_t count;
};

static bool
add_header(struct step_call *s, struct header_list *h, const char *name, struct str value)
{
    if (h->count >= HEADERS_MAX || str_index(value, '\n') >= 0 || str_index(value, '\r') >= 0 ||
        strpbrk(name, "\r\n:") != NULL)
        return step_fail(s, "the header '%.100s' cannot be sent", name);
    h->at[h->count++] = arena_format(&s->run->arena, "%s: " STR_FMT, name, STR_ARG(value));
    return true;
}

/* [[name: .., value: .., maskValue: true]] */
static bool
add_custom_headers(struct step_call *s, struct header_list *h)
{
    const struct value *list = step_value(s, "customHeaders");
    struct arena *a = &s->run->arena;

    for (size_t i = 0; list != NULL && list->type == V_LIST && i < list->list->count; i++) {
        const struct map *m = list->list->at[i].map;
        const struct value *name, *value, *masks;
        if (list->list->at[i].type != V_MAP)
            return step_fail(s, "customHeaders is a list of [name: .., value: ..]");
        name = map_find_text(m, "name");
        value = map_find_text(m, "value");
        masks = map_find_text(m, "maskValue");
        if (name == NULL || value == NULL)
            return step_fail(s, "customHeaders is a list of [name: .., value: ..]");
        if (masks != NULL && value_truth(*masks))
            credential_mask(s->run, value_to_text(a, *value));
        if (!add_header(s, h, arena_cstr(a, value_to_text(a, *name)), value_to_text(a, *value)))
            return false;
    }
    return true;
}

static bool
add_authentication(struct step_call *s, struct header_list *h)
{
    struct str id = step_text(s, "authentication", "");
    cleanup(strbuf_done) struct strbuf plain = {0}, base64 = {0};
    cleanup_json struct json *c = NULL;

    if (id.len == 0)
        return true;
    c = credential_of_kind(s->run, s->at, arena_cstr(&s->run->arena, id), "password");
    if (c == NULL)
        return false;
    strbuf_addf(&plain, "%s:%s", json_get_cstr(c, "username", ""),
                json_get_cstr(c, "password", ""));
    credential_mask(s->run, str_of(json_get_cstr(c, "password", "")));
    base64_encode(&base64, strbuf_str(&plain));
    run_mask(s->run, strbuf_str(&base64));
    return add_header(s, h, "Authorization",
                      str_of(arena_format(&s->run->arena, "Basic %s", strbuf_cstr(&base64))));
}

static bool
add_type(struct step_call *s, struct header_list *h, const char *argument, const char *header)
{
    static const struct {
        const char *name, *type;
    } types[] = {
        {"APPLICATION_JSON", "application/json"},
        {"APPLICATION_JSON_UTF8", "application/json; charset=UTF-8"},
        {"APPLICATION_XML", "application/xml"},
        {"APPLICATION_FORM", "application/x-www-form-urlencoded"},
        {"APPLICATION_FORM_DATA", "multipart/form-data"},
        {"APPLICATION_OCTETSTREAM", "application/octet-stream"},
        {"TEXT_HTML", "text/html"},
        {"TEXT_PLAIN", "text/plain"},
    };
    struct str given = step_text(s, argument, "NOT_SET");

    for (size_t i = 0; i < ARRAY_COUNT(types); i++)
        if (str_is(given, types[i].name))
            return add_header(s, h, header, str_of(types[i].type));
    return str_is(given, "NOT_SET") ||
           step_fail(s, "httpRequest: '" STR_FMT "' is not a type", STR_ARG(given));
}

/* "100:399,404" */
static bool
is_valid_code(struct str codes, int64_t status)
{
    struct str part;

    while (str_split(&codes, ',', &part)) {
        struct str from;
        int64_t low, high;
        part = str_trim(part);
        if (!str_split(&part, ':', &from) || !str_to_i64(str_trim(from), &low))
            continue;
        high = low;
        if (part.at != NULL && !str_to_i64(str_trim(part), &high))
            continue;
        if (status >= low && status <= high)
            return true;
    }
    return false;
}

static void
give_headers(struct step_call *s, const struct http_answer *answer, struct map *to)
{
    struct str rest = strbuf_str(&answer->headers), line;
    struct arena *a = &s->run->arena;

    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_index(line, ':');
        struct value name, *list, one;
        if (colon <= 0)
            continue;
        name = value_text(arena_dup(a, str_slice(line, 0, (size_t)colon)));
        list = map_find(to, name);
        if (list == NULL) {
            one = value_list(a);
            map_put(a, to, name, one);
            list = map_find(to, name);
        }
        list_add(a, list->list,
                 value_text(arena_dup(a, str_trim(str_slice(line, (size_t)colon + 1, line.len)))));
    }
}

static bool
judge_answer(struct step_call *s, struct web_call *w)
{
    struct arena *a = &s->run->arena;
    struct str body = arena_dup(a, strbuf_str(&w->answer.body));
    struct str content = step_text(s, "validResponseContent", ""),
               file = step_text(s, "outputFile", "");
    struct value headers = value_map(a);

    if (!step_truth(s, "quiet", false))
        run_logf(s->run, "Response code: %d", w->answer.status);
    if (step_truth(s, "consoleLogResponseBody", false))
        run_log(s->run, str_of(arena_format(a, STR_FMT "\n", STR_ARG(body))));
    if (file.len > 0 &&
        (!step_needs_workspace(s) || !step_write_text(s, step_path(s, file), body, false)))
        return false;
    if (!is_valid_code(step_text(s, "validResponseCodes", "100:399"), w->answer.status))
        return step_fail(s, "the response code %d is not one of " STR_FMT, w->answer.status,
                         STR_ARG(step_text(s, "validResponseCodes", "100:399")));
    if (content.len > 0 && str_find(body, content) < 0)
        return step_fail(s, "the response does not contain '" STR_FMT "'", STR_ARG(content));
    give_headers(s, &w->answer, headers.map);
    *s->out = value_map(a);
    map_put_text(a, s->out->map, "status", value_int(w->answer.status));
    map_put_text(a, s->out->map, "content", value_text(body));
    map_put_text(a, s->out->map, "headers", headers);
    return true;
}

static bool
step_http_request(struct step_call *s)
{
    struct header_list headers = {0};
    struct str url = step_text(s, "url", ""), body = step_text(s, "requestBody", "");
    int64_t timeout_s = step_int(s, "timeout", 0);
    struct web_call w = {0};
    bool ok;

    if (step_truth(s, "ignoreSslErrors", false))
        return step_fail(s, "httpRequest: ignoreSslErrors is not supported");
    if (!add_type(s, &headers, "contentType", "Content-Type") ||
        !add_type(s, &headers, "acceptType", "Accept") || !add_custom_headers(s, &headers) ||
        !add_authentication(s, &headers))
        return false;
    w.call = (struct http_call){
        .method = arena_cstr(&s->run->arena, step_text(s, "httpMode", "GET")),
        .url = arena_cstr(&s->run->arena, url),
        .headers = headers.at,
        .timeout_ms = timeout_s > 0 && timeout_s < 86400 ? timeout_s * 1000 : HTTP_TIMEOUT_MS,
    };
    if (body.len > 0)
        w.call.body = body;
    if (!step_truth(s, "quiet", false))
        run_logf(s->run, "HttpMethod: %s URL: %s", w.call.method, w.call.url);
    if (!call_and_wait(s, &w))
        return false;
    if (!w.ok)
        return step_fail(s, "%s", w.err.message);
    ok = judge_answer(s, &w);
    http_answer_done(&w.answer);
    return ok;
}

/* ---- slackSend ---- */

/* The text of a secret; empty if there is none such. */
static struct str
secret_text(struct run *run, const char *id)
{
    struct err err;
    cleanup_json struct json *c =
        run->config->secrets_dir == NULL ? NULL : secrets_get(run->config->secrets_dir, id, &err);
    struct str text = arena_dup(&run->arena, str_of(json_get_cstr(c, "text", "")));

    if (text.len > 0)
        credential_mask(run, text);
    return text;
}

/* A webhook's whole URL, or what stands behind baseUrl in one. */
static struct str
slack_url(struct step_call *s)
{
    struct str id = step_text(s, "tokenCredentialId", "slack"), base = step_text(s, "baseUrl", "");
    struct str text = secret_text(s->run, arena_cstr(&s->run->arena, id));

    if (text.len == 0 || str_starts(text, STR("https://")) || str_starts(text, STR("http://")))
        return text;
    if (base.len == 0)
        return STR("");
    return str_of(arena_format(&s->run->arena, STR_FMT "%s" STR_FMT, STR_ARG(base),
                               base.at[base.len - 1] == '/' ? "" : "/", STR_ARG(text)));
}

static struct json *
slack_message(struct step_call *s)
{
    struct json *j = json_object(), *one, *list;
    struct str colour = step_text(s, "color", ""), channel = step_text(s, "channel", "");
    struct str text = step_text(s, "message", "");
    const struct value *attachments = step_value(s, "attachments"),
                       *blocks = step_value(s, "blocks");

    if (channel.len > 0)
        json_set(j, "channel", json_str(channel));
    if (attachments != NULL && value_to_json(&s->run->arena, *attachments, &one))
        json_set(j, "attachments", one);
    if (blocks != NULL && value_to_json(&s->run->arena, *blocks, &one))
        json_set(j, "blocks", one);
    if (colour.len == 0 || attachments != NULL) {
        json_set(j, "text", json_str(text));
        return j;
    }
    one = json_object();
    json_set(one, "color", json_str(colour));
    json_set(one, "text", json_str(text));
    json_set(one, "fallback", json_str(text));
    list = json_array();
    json_append(list, one);
    json_set(j, "attachments", list);
    return j;
}

static bool
not_sent(struct step_call *s, const char *why)
{
    if (step_truth(s, "failOnError", false))
        return step_fail(s, "%s", why);
    run_logf(s->run, "WARNING: '" STR_FMT "' was not sent: %s", STR_ARG(s->name), why);
    return true;
}

static bool
step_slack_send(struct step_call *s)
{
    static const char *const headers[] = {"Content-Type: application/json; charset=utf-8", NULL};
    struct str url = slack_url(s);
    cleanup_json struct json *message = slack_message(s);
    cleanup_free char *text = json_format(message);
    struct web_call w = {0};
    bool ok;

    *s->out = value_map(&s->run->arena);
    if (url.len == 0) {
        run_logf(s->run, "Skipped: slackSend has no webhook (naru secret set slack): " STR_FMT,
                 STR_ARG(step_text(s, "message", "")));
        return true;
    }
    w.call = (struct http_call){.method = "POST",
                                .url = arena_cstr(&s->run->arena, url),
                                .headers = headers,
                                .body = str_of(text),
                                .timeout_ms = TIMEOUT_MS};
    if (!call_and_wait(s, &w))
        return false;
    if (!w.ok)
        return not_sent(s, w.err.message);
    ok = w.answer.status < 300 ||
         not_sent(s, arena_format(&s->run->arena, "the webhook answered %d", w.answer.status));
    http_answer_done(&w.answer);
    return ok;
}

/* ---- mail ---- */

struct mail_call {
    struct run_work work; /* first */
    struct mail mail;
    struct err err;
    bool ok;
};

static void
send_mail(struct run_work *work)
{
    struct mail_call *m = (struct mail_call *)work;

    m->mail.is_cancelled = is_cancelled;
    m->mail.arg = work;
    m->ok = mail_send(&m->mail, &m->err);
}

/* "Someone <a@b>, cc:c@d" to addresses; false if one cannot be sent. */
static bool
add_recipients(struct step_call *s, struct str list, const char **to, size_t *count)
{
    char *text = arena_cstr(&s->run->arena, list), *save = NULL;

    for (char *one = strtok_r(text, ",; \t\n", &save); one != NULL;
         one = strtok_r(NULL, ",; \t\n", &save)) {
        struct str address = str_of(one);
        if (str_starts(address, STR("cc:")) || str_starts(address, STR("bcc:")))
            address = str_slice(address, (size_t)str_index(address, ':') + 1, address.len);
        if (address.len > 2 && address.at[0] == '<')
            address = str_slice(address, 1, address.len - 1);
        if (str_index(address, '@') <= 0)
            continue; /* a part of a name */
        if (*count >= RECIPIENTS_MAX)
            return step_fail(s, "a mail has at most %d recipients", RECIPIENTS_MAX);
        to[(*count)++] = arena_cstr(&s->run->arena, address);
    }
    return true;
}

static struct str
env_text(struct run *run, const char *name, const char *fallback)
{
    struct value v;
    bool found;

    return run_env_get(run, str_of(name), &v, &found) && found ? value_to_text(&run->arena, v)
                                                               : str_of(fallback);
}

/* A header's text in base64, whatever is in it. */
static void
add_text_header(struct strbuf *out, const char *name, struct str text)
{
    cleanup(strbuf_done) struct strbuf base64 = {0};

    base64_encode(&base64, str_slice(text, 0, 400));
    strbuf_addf(out, "%s: =?UTF-8?B?%s?=\r\n", name, strbuf_cstr(&base64));
}

static void
add_body(struct strbuf *out, struct str body)
{
    cleanup(strbuf_done) struct strbuf base64 = {0};

    base64_encode(&base64, body);
    for (size_t i = 0; i < base64.len; i += 76) {
        strbuf_add(out, str_slice(strbuf_str(&base64), i, i + 76));
        strbuf_add_cstr(out, "\r\n");
    }
}

static bool
has_line_break(struct str s)
{
    return str_index(s, '\r') >= 0 || str_index(s, '\n') >= 0;
}

static bool
compose(struct step_call *s, struct str from, const char *const *to, size_t shown,
        struct strbuf *out)
{
    struct str reply = step_text(s, "replyTo", ""), type = step_text(s, "mimeType", "text/plain");
    const struct runner_config *c = s->run->config;
    struct str subject = step_text(
        s, "subject",
        arena_format(&s->run->arena, "%s - Build # %lld", c->job_name, (long long)c->number));
    char date[64];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if (has_line_break(from) || has_line_break(reply) || has_line_break(type))
        return step_fail(s, "a header of a mail has one line");
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    strbuf_addf(out, "Date: %s\r\nFrom: " STR_FMT "\r\nTo: ", date, STR_ARG(from));
    for (size_t i = 0; i < shown; i++)
        strbuf_addf(out, "%s%s", i > 0 ? ", " : "", to[i]);
    strbuf_add_cstr(out, "\r\n");
    if (reply.len > 0)
        strbuf_addf(out, "Reply-To: " STR_FMT "\r\n", STR_ARG(reply));
    add_text_header(out, "Subject", subject);
    strbuf_addf(out,
                "MIME-Version: 1.0\r\nContent-Type: " STR_FMT "; charset=UTF-8\r\n"
                "Content-Transfer-Encoding: base64\r\n\r\n",
                STR_ARG(type));
    add_body(out, step_text(s, "body", ""));
    return true;
}

static bool
step_mail(struct step_call *s)
{
    struct arena *a = &s->run->arena;
    struct str server = env_text(s->run, "NARU_SMTP_URL", "");
    struct str from = step_text(s, "from", "");
    const char *to[RECIPIENTS_MAX + 1] = {0};
    cleanup(strbuf_done) struct strbuf message = {0};
    cleanup_json struct json *login = NULL;
    struct mail_call m = {.work = {.work = send_mail}};
    size_t count = 0, shown;
    struct err err;

    if (from.len == 0)
        from = env_text(s->run, "NARU_MAIL_FROM", "naru@localhost");
    if (!add_recipients(s, step_text(s, "to", ""), to, &count) ||
        !add_recipients(s, step_text(s, "cc", ""), to, &count))
        return false;
    shown = count; /* but for those of bcc */
    if (!add_recipients(s, step_text(s, "bcc", ""), to, &count))
        return false;
    if (server.len == 0 || count == 0) {
        run_logf(s->run, "Skipped: '" STR_FMT "' has no %s: " STR_FMT, STR_ARG(s->name),
                 count == 0 ? "recipients" : "server (NARU_SMTP_URL)",
                 STR_ARG(step_text(s, "subject", "")));
        return true;
    }
    if (!compose(s, from, to, shown, &message))
        return false;
    if (s->run->config->secrets_dir != NULL)
        login = secrets_get(s->run->config->secrets_dir, "smtp", &err);
    m.mail = (struct mail){.server = arena_cstr(a, server),
                           .user = json_get_cstr(login, "username", NULL),
                           .password = json_get_cstr(login, "password", ""),
                           .from = arena_cstr(a, from),
                           .recipients = to,
                           .message = strbuf_str(&message),
                           .timeout_ms = TIMEOUT_MS};
    if (!run_on_thread(s->run, s->at, &m.work))
        return false;
    if (!m.ok)
        return not_sent(s, m.err.message);
    run_logf(s->run, "Sent a mail to %zu recipient(s)", count);
    return true;
}

step_function *
step_notify_find(struct str name)
{
    static const struct step_row table[] = {
        {"httpRequest", step_http_request},
        {"slackSend", step_slack_send},
        {"mail", step_mail},
        {"emailext", step_mail},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
