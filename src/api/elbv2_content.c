/* SPDX-License-Identifier: MIT */
/* elbv2_content.c - what is in trust stores, at a Location that gives it to whoever has it, for ten minutes.
 * "/naru/truststores/<region>/<name>/<id>?revocation=<number, 0: the bundle>&expires=<seconds>&signature=<hmac>", as of layers
 * by ECR's API: the signature covers all of it, and whether it is still there is asked when it is fetched.  The key is
 * the installation's secret; whoever changes that ends what was given out. */
#include "api/elbv2.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/uri.h"

#define PREFIX "/naru/truststores/"
#define LIFE_MS 600000

struct place {
    char region[REGION_SIZE];
    char below[ARN_SIZE]; /* "<name>/<id>" */
    int64_t revocation, expires_s;
};

static void
sign(const struct api *api, const struct place *p, char out[static SHA256_HEX + 1])
{
    unsigned char mac[SHA256_LEN];
    cleanup_free char *text = text_format("truststore\n%s\n%s\n%lld\n%lld", p->region, p->below, (long long)p->revocation,
                                          (long long)p->expires_s);

    hmac_sha256(str_of(api_get_config(api)->secret_access_key), str_of(text), mac);
    hex_encode(mac, sizeof(mac), out);
}

static void
answer_location(const struct request *rq, const struct trust_store *t, int64_t revocation, struct json *out)
{
    struct place p = {.revocation = revocation, .expires_s = (rq->now_ms + LIFE_MS) / 1000};
    char signature[SHA256_HEX + 1];
    cleanup_free char *url = NULL;

    text_copy(p.region, sizeof(p.region), str_of(rq->region));
    text_copy(p.below, sizeof(p.below), str_of(strstr(t->arn, ":truststore/") + strlen(":truststore/")));
    sign(rq->api, &p, signature);
    url = text_format("%s" PREFIX "%s/%s?revocation=%lld&expires=%lld&signature=%s", api_get_config(rq->api)->endpoint_url,
                      p.region, p.below, (long long)p.revocation, (long long)p.expires_s, signature);
    json_set(out, "Location", json_text(url));
}

bool
elb_get_trust_store_bundle(struct request *rq, struct json *out, struct err *err)
{
    const struct trust_store *t = elb_find_trust_store(rq, json_get_cstr(rq->input, "TrustStoreArn", ""), err);

    if (t == NULL)
        return false;
    answer_location(rq, t, 0, out);
    return true;
}

bool
elb_get_trust_store_revocation(struct request *rq, struct json *out, struct err *err)
{
    const struct trust_store *t = elb_find_trust_store(rq, json_get_cstr(rq->input, "TrustStoreArn", ""), err);
    const int64_t id = json_get_i64(rq->input, "RevocationId", 0);

    if (t == NULL)
        return false;
    if (elb_find_revocation(t, id) == NULL)
        return err_set(err, ERR_REVOCATION_ID_NOT_FOUND, "Revocation '%lld' not found in trust store '%s'", (long long)id,
                       t->name);
    answer_location(rq, t, id, out);
    return true;
}

/* ---- the door ---- */

static bool
read_number(struct str query, const char *name, int64_t *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    return uri_query_get(query, name, &text) && str_to_i64(strbuf_str(&text), out) && *out >= 0;
}

/* What the path and query say, once their signature is ours. */
static bool
read_place(const struct api *api, struct str path, struct str query, struct place *p)
{
    cleanup(strbuf_done) struct strbuf signature = {0};
    char expected[SHA256_HEX + 1];
    struct str region;

    if (!str_starts(path, STR(PREFIX)))
        return false;
    path = str_slice(path, sizeof(PREFIX) - 1, path.len);
    if (!str_split(&path, '/', &region) || !text_copy(p->region, sizeof(p->region), region) ||
        !text_copy(p->below, sizeof(p->below), path) || !read_number(query, "revocation", &p->revocation) ||
        !read_number(query, "expires", &p->expires_s) || !uri_query_get(query, "signature", &signature))
        return false;
    sign(api, p, expected);
    return crypto_equal(strbuf_str(&signature), (struct str){expected, SHA256_HEX});
}

struct search {
    const struct place *place;
    const char *arn;
    struct strbuf *out;
    bool has_found;
};

static void
look(void *arg, struct core *core, int64_t now_ms)
{
    struct search *s = arg;
    const struct trust_store *t = core_trust_store(core, s->arn);
    const struct json *text = NULL;

    if (t != NULL && s->place->revocation == 0)
        text = t->bundle;
    else if (t != NULL)
        text = json_get(elb_find_revocation(t, s->place->revocation), "Lists");
    s->has_found = text != NULL;
    strbuf_add_cstr(s->out, json_cstr(text, ""));
}

int
elb_content_read(struct api *api, struct str path, struct str query, int64_t now_ms, struct strbuf *out)
{
    const struct api_config *config = api_get_config(api);
    struct place place = {0};
    char arn[ARN_SIZE];
    struct search search = {&place, arn, out, false};

    if (!read_place(api, path, query, &place)) {
        strbuf_add_cstr(out, "the URL is not one that a Location gave out\n");
        return 403;
    }
    if (now_ms / 1000 >= place.expires_s) {
        strbuf_add_cstr(out, "the URL has expired; ask for a new Location\n");
        return 403;
    }
    arn_format(arn, "elasticloadbalancing", place.region, config->account, "truststore/%s", place.below);
    if (!config->read(config->ctx, look, &search)) {
        strbuf_add_cstr(out, "naru is stopping\n");
        return 503;
    }
    if (!search.has_found)
        strbuf_add_cstr(out, "it is not in the trust store any more\n");
    return search.has_found ? 200 : 404;
}

static void
content_end(struct http_exchange *x, void *ctx)
{
    struct strbuf body = {0};
    int status = 405;

    if (str_is(x->method, "GET") || str_is(x->method, "HEAD"))
        status = elb_content_read(ctx, x->path, x->query, clock_wall_ms(), &body);
    const struct http_header headers[] = {
        {"Content-Type", status == 200 ? "application/x-pem-file" : "text/plain; charset=utf-8"}, {NULL, NULL}};
    http_reply_buffer(x, status, headers, &body);
}

struct http_route
api_content_route(struct api *api)
{
    return (struct http_route){.prefix = PREFIX, .end = content_end, .ctx = api};
}
