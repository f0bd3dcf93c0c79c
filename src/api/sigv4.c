/* SPDX-License-Identifier: MIT */
#include "api/sigv4.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/uri.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

static const char mismatch_text[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.";

struct str
sigv4_header(const struct sigv4_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->header_count; i++) {
        if (str_equal_nocase(rq->headers[i].name, str_of(name)))
            return rq->headers[i].value;
    }
    return (struct str){0};
}

/* ---- the Authorization header ---- */

static bool
is_hex64(struct str s)
{
    if (s.len != SHA256_HEX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (strchr("0123456789abcdef", s.at[i]) == NULL || s.at[i] == '\0')
            return false;
    }
    return true;
}

/* "AKID/20260102/eu-west-1/ecs/aws4_request", split from the right. */
static bool
parse_credential(struct str text, struct sigv4_authorization *out, struct err *err)
{
    struct str parts[4]; /* date, region, service, aws4_request */

    for (int i = 3; i >= 0; i--) {
        const ptrdiff_t slash = str_rindex(text, '/');
        if (slash < 0)
            return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                           "Credential must have exactly 5 slash-delimited elements, e.g. "
                           "keyid/date/region/service/term, got '" STR_FMT "'.",
                           STR_ARG(str_slice(text, 0, 200)));
        parts[i] = str_slice(text, (size_t)slash + 1, text.len);
        text = str_slice(text, 0, (size_t)slash);
    }
    if (!str_is(parts[3], "aws4_request"))
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Credential should be scoped with a valid terminator: 'aws4_request', not '"
                       STR_FMT "'.", STR_ARG(str_slice(parts[3], 0, 100)));
    if (text.len == 0 || parts[0].len != 8 || parts[1].len == 0 || parts[1].len > 31 ||
        parts[2].len == 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Credential in the Authorization header is not valid: key id, date (8 digits), "
                       "region (up to 31 characters) and service must not be empty.");
    for (size_t i = 0; i < parts[1].len; i++) {
        if (!isalnum((unsigned char)parts[1].at[i]) && parts[1].at[i] != '-')
            return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                           "The region of the Credential may hold letters, digits and '-' only.");
    }
    out->access_key_id = text;
    out->date = parts[0];
    out->region = parts[1];
    out->service = parts[2];
    return true;
}

bool
sigv4_parse(struct str header, struct sigv4_authorization *out, struct err *err)
{
    struct sigv4_authorization auth = {0};
    struct str credential = {0}, rest = str_trim(header), part;

    if (!str_starts(rest, STR(ALGORITHM)) ||
        (rest.len > sizeof(ALGORITHM) - 1 && rest.at[sizeof(ALGORITHM) - 1] != ' '))
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header must start with '" ALGORITHM "'; other signing methods are "
                       "not supported.");
    rest = str_slice(rest, sizeof(ALGORITHM) - 1, rest.len);
    while (str_split(&rest, ',', &part)) {
        const struct str pair = str_trim(part);
        const ptrdiff_t equals = str_index(pair, '=');
        struct str name, value;

        if (pair.len == 0)
            continue;
        if (equals < 0)
            return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                           "'" STR_FMT "' not a valid key=value pair (missing equal-sign) in "
                           "Authorization header.", STR_ARG(str_slice(pair, 0, 200)));
        name = str_slice(pair, 0, (size_t)equals);
        value = str_slice(pair, (size_t)equals + 1, pair.len);
        if (str_is(name, "Credential"))
            credential = value;
        else if (str_is(name, "SignedHeaders"))
            auth.signed_headers = value;
        else if (str_is(name, "Signature"))
            auth.signature = value;
    }
    if (credential.len == 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header requires 'Credential' parameter.");
    if (auth.signature.len == 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header requires 'Signature' parameter.");
    if (auth.signed_headers.len == 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header requires 'SignedHeaders' parameter.");
    if (!parse_credential(credential, &auth, err))
        return false;
    if (!is_hex64(auth.signature))
        return err_set(err, ERR_INVALID_SIGNATURE, "%s", mismatch_text);
    *out = auth;
    return true;
}

/* ---- the canonical request ---- */

/* "/a/./b//../c" -> "/a/c", each segment encoded once more. */
static void
canonical_path(struct strbuf *out, struct str path)
{
    cleanup(strbuf_done) struct strbuf normal = {0};
    struct str rest = path, segment;
    const bool ends_open = path.len > 1 && path.at[path.len - 1] == '/';

    while (str_split(&rest, '/', &segment)) {
        if (segment.len == 0 || str_is(segment, "."))
            continue;
        if (str_is(segment, "..")) {
            const ptrdiff_t slash = str_rindex(strbuf_str(&normal), '/');
            if (slash >= 0)
                normal.len = (size_t)slash;
            continue;
        }
        strbuf_add_char(&normal, '/');
        strbuf_add(&normal, segment);
    }
    if (normal.len == 0 || ends_open)
        strbuf_add_char(&normal, '/');
    uri_encode(out, strbuf_str(&normal), /* keep_slash= */ true);
}

struct query_pair {
    char *name, *value; /* decoded and encoded again, so that every client's spelling is the same */
};

static char *
reencode(struct str text)
{
    cleanup(strbuf_done) struct strbuf plain = {0};
    struct strbuf encoded = {0};

    /* Clients send a blank as '+' and sign it as %20; a plus itself is always sent as %2B. */
    if (!uri_decode(&plain, text, /* plus_is_space= */ true)) {
        strbuf_clear(&plain);
        strbuf_add(&plain, text); /* a broken escape is signed as it stands */
    }
    uri_encode(&encoded, strbuf_str(&plain), /* keep_slash= */ false);
    return strbuf_take(&encoded);
}

static int
compare_pairs(const void *a, const void *b)
{
    const struct query_pair *x = a, *y = b;
    const int by_name = strcmp(x->name, y->name);

    return by_name != 0 ? by_name : strcmp(x->value, y->value);
}

static void
canonical_query(struct strbuf *out, struct str query)
{
    struct query_pair pairs[SIGV4_QUERY_MAX];
    size_t count = 0;
    struct str rest = query, part;

    while (count < SIGV4_QUERY_MAX && rest.len > 0 && str_split(&rest, '&', &part)) {
        const ptrdiff_t equals = str_index(part, '=');
        if (part.len == 0)
            continue;
        pairs[count].name = reencode(equals < 0 ? part : str_slice(part, 0, (size_t)equals));
        pairs[count].value =
            equals < 0 ? text_dup("") : reencode(str_slice(part, (size_t)equals + 1, part.len));
        count++;
    }
    qsort(pairs, count, sizeof(pairs[0]), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        strbuf_addf(out, "%s%s=%s", i > 0 ? "&" : "", pairs[i].name, pairs[i].value);
        free(pairs[i].name);
        free(pairs[i].value);
    }
}

/* Trimmed, and inner runs of blanks become one. */
static void
add_header_value(struct strbuf *out, struct str value)
{
    size_t from = 0, i = 0;

    value = str_trim(value);
    while (i < value.len) {
        if (value.at[i] != ' ' && value.at[i] != '\t') {
            i++;
            continue;
        }
        strbuf_add(out, str_slice(value, from, i));
        strbuf_add_char(out, ' ');
        while (value.at[i] == ' ' || value.at[i] == '\t')
            i++; /* the trimmed value does not end so */
        from = i;
    }
    strbuf_add(out, str_slice(value, from, value.len));
}

static void
canonical_headers(struct strbuf *out, const struct sigv4_request *rq, struct str names)
{
    struct str rest = names, name;
    size_t count = 0;

    while (str_split(&rest, ';', &name) && count++ < SIGV4_HEADERS_MAX) {
        bool is_first = true;

        strbuf_add(out, name);
        strbuf_add_char(out, ':');
        for (size_t i = 0; i < rq->header_count; i++) {
            if (!str_equal_nocase(rq->headers[i].name, name))
                continue;
            if (!is_first)
                strbuf_add_char(out, ',');
            add_header_value(out, rq->headers[i].value);
            is_first = false;
        }
        strbuf_add_char(out, '\n');
    }
}

void
sigv4_canonical(const struct sigv4_request *rq, struct str signed_headers, struct strbuf *out)
{
    const struct str declared = str_trim(sigv4_header(rq, "x-amz-content-sha256"));

    strbuf_add(out, rq->method);
    strbuf_add_char(out, '\n');
    canonical_path(out, rq->path);
    strbuf_add_char(out, '\n');
    canonical_query(out, rq->query);
    strbuf_add_char(out, '\n');
    canonical_headers(out, rq, signed_headers);
    strbuf_add_char(out, '\n');
    strbuf_add(out, signed_headers);
    strbuf_add_char(out, '\n');
    if (declared.len > 0) {
        strbuf_add(out, declared);
    } else {
        char hex[SHA256_HEX + 1];
        sha256_hex(rq->body, hex);
        strbuf_add_cstr(out, hex);
    }
}

/* ---- the signature ---- */

/* What a signing key is made of, in one text, and the key: four HMACs for one day, region and service.
 * A thread serves one connection, and a client keeps to one scope: the last one is what is asked for. */
struct known_key {
    char made_of[256]; /* empty: none yet */
    unsigned char key[SHA256_LEN];
};

static void
derive_key(const struct sigv4_authorization *auth, const char *secret, unsigned char key[static SHA256_LEN])
{
    cleanup(strbuf_done) struct strbuf first = {0};
    const struct str chain[] = {auth->region, auth->service, STR("aws4_request")};

    strbuf_addf(&first, "AWS4%s", secret);
    hmac_sha256(strbuf_str(&first), auth->date, key);
    for (size_t i = 0; i < ARRAY_COUNT(chain); i++) {
        unsigned char next[SHA256_LEN];
        hmac_sha256((struct str){(const char *)key, SHA256_LEN}, chain[i], next);
        memcpy(key, next, SHA256_LEN);
    }
}

static void
signing_key(const struct sigv4_authorization *auth, const char *secret, unsigned char key[static SHA256_LEN])
{
    static _Thread_local struct known_key known;
    char made_of[sizeof(known.made_of)];
    /* None of the parts holds a '/', for the scope was split at them; the secret comes last. */
    const int len = snprintf(made_of, sizeof(made_of), STR_FMT "/" STR_FMT "/" STR_FMT "/%s",
                             STR_ARG(auth->date), STR_ARG(auth->region), STR_ARG(auth->service), secret);

    if ((size_t)len >= sizeof(made_of)) {
        derive_key(auth, secret, key);
        return;
    }
    if (strcmp(known.made_of, made_of) != 0) {
        derive_key(auth, secret, known.key);
        memcpy(known.made_of, made_of, sizeof(made_of));
    }
    memcpy(key, known.key, SHA256_LEN);
}

static void
calculate(const struct sigv4_request *rq, const struct sigv4_authorization *auth, const char *secret,
          const char *amz_date, char out[static SHA256_HEX + 1])
{
    cleanup(strbuf_done) struct strbuf canonical = {0}, to_sign = {0};
    unsigned char key[SHA256_LEN], signature[SHA256_LEN];
    char hex[SHA256_HEX + 1];

    sigv4_canonical(rq, auth->signed_headers, &canonical);
    sha256_hex(strbuf_str(&canonical), hex);
    strbuf_addf(&to_sign, ALGORITHM "\n%s\n" STR_FMT "/" STR_FMT "/" STR_FMT "/aws4_request\n%s",
                amz_date, STR_ARG(auth->date), STR_ARG(auth->region), STR_ARG(auth->service), hex);
    signing_key(auth, secret, key);
    hmac_sha256((struct str){(const char *)key, SHA256_LEN}, strbuf_str(&to_sign), signature);
    hex_encode(signature, SHA256_LEN, out);
}

/* The time of the request: X-Amz-Date, else Date; gives it in SigV4's own form too. */
static bool
request_time(const struct sigv4_request *rq, char text[static 24], int64_t *ms_out, struct err *err)
{
    struct str stamp = str_trim(sigv4_header(rq, "x-amz-date"));
    struct tm tm = {0};
    char date[64];
    const char *end;

    if (stamp.len > 0) {
        if (!clock_parse_basic(stamp, ms_out))
            return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                           "Date must be in ISO-8601 'basic format'. Got '" STR_FMT
                           "'. See http://en.wikipedia.org/wiki/ISO_8601",
                           STR_ARG(str_slice(stamp, 0, 60)));
        return text_copy(text, 24, stamp);
    }
    stamp = str_trim(sigv4_header(rq, "date"));
    if (stamp.len == 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                       "header.");
    if (!text_copy(date, sizeof(date), stamp) ||
        (end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) == NULL || *end != '\0')
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "The 'Date' header is not of the RFC 1123 form.");
    *ms_out = (int64_t)timegm(&tm) * 1000;
    clock_format_basic(*ms_out, text);
    return true;
}

static bool
check_skew(int64_t then_ms, const char *then, int64_t now_ms, struct err *err)
{
    char now[24], edge[24];

    if (then_ms >= now_ms - SIGV4_SKEW_MS && then_ms <= now_ms + SIGV4_SKEW_MS)
        return true;
    clock_format_basic(now_ms, now);
    if (then_ms < now_ms - SIGV4_SKEW_MS) {
        clock_format_basic(now_ms - SIGV4_SKEW_MS, edge);
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Signature expired: %s is now earlier than %s (%s - 5 min.)", then, edge, now);
    }
    clock_format_basic(now_ms + SIGV4_SKEW_MS, edge);
    return err_set(err, ERR_INVALID_SIGNATURE,
                   "Signature not yet current: %s is still later than %s (%s + 5 min.)", then, edge, now);
}

static size_t
count_of(struct str text, char c)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == c;
    return count;
}

static bool
is_signed(struct str signed_headers, const char *name)
{
    struct str rest = signed_headers, part;

    while (str_split(&rest, ';', &part)) {
        if (str_equal_nocase(part, str_of(name)))
            return true;
    }
    return false;
}

/* What decides about the request must be under the signature: else a replay could change it. */
static bool
check_signed_headers(const struct sigv4_request *rq, struct str signed_headers, struct err *err)
{
    static const char *const must[] = {"host", "x-amz-date", "x-amz-target", "x-amz-security-token",
                                       "x-amz-content-sha256"};

    for (size_t i = 0; i < ARRAY_COUNT(must); i++) {
        if (i > 0 && sigv4_header(rq, must[i]).at == NULL)
            continue;
        if (!is_signed(signed_headers, must[i]))
            return err_set(err, ERR_INVALID_SIGNATURE,
                           "'%s' must be a 'SignedHeader' in the AWS Authorization header.", must[i]);
    }
    if (count_of(signed_headers, ';') >= SIGV4_HEADERS_MAX)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "SignedHeaders names more than %d headers.",
                       SIGV4_HEADERS_MAX);
    if (count_of(rq->query, '&') >= SIGV4_QUERY_MAX)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE, "The query has more than %d parameters.",
                       SIGV4_QUERY_MAX);
    return true;
}

/* The declared payload hash must be the body's: the signature covers only what is declared. */
static bool
check_payload(const struct sigv4_request *rq, struct err *err)
{
    const struct str declared = str_trim(sigv4_header(rq, "x-amz-content-sha256"));
    char hex[SHA256_HEX + 1];

    if (declared.len == 0)
        return true;
    sha256_hex(rq->body, hex);
    if (!crypto_equal(declared, str_of(hex)))
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "The provided 'x-amz-content-sha256' header does not match what was computed; "
                       "unsigned payloads are not accepted.");
    return true;
}

bool
sigv4_verify(const struct sigv4_request *rq, const char *access_key_id, const char *secret,
             const char *token, int64_t now_ms, struct sigv4_authorization *out, struct err *err)
{
    const struct str header = sigv4_header(rq, "authorization");
    struct sigv4_authorization auth;
    char stamp[24], expected[SHA256_HEX + 1];
    int64_t then_ms;

    if (header.len == 0 && str_find(rq->query, STR("X-Amz-Signature=")) >= 0)
        return err_set(err, ERR_INCOMPLETE_SIGNATURE,
                       "Presigned requests (X-Amz-Signature in the query) are not supported; sign with an "
                       "Authorization header.");
    if (header.len == 0)
        return err_set(err, ERR_MISSING_AUTHENTICATION_TOKEN, "Missing Authentication Token");
    if (!sigv4_parse(header, &auth, err) || !request_time(rq, stamp, &then_ms, err))
        return false;
    if (!str_equal(auth.date, str_slice(str_of(stamp), 0, 8)))
        return err_set(err, ERR_INVALID_SIGNATURE,
                       "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                       "from HTTP: '" STR_FMT "' != '%.8s', from '%s'.",
                       STR_ARG(auth.date), stamp, stamp);
    if (!crypto_equal(auth.access_key_id, str_of(access_key_id)) ||
        !crypto_equal(str_trim(sigv4_header(rq, "x-amz-security-token")), str_of(token)))
        return err_set(err, ERR_UNRECOGNIZED_CLIENT,
                       "The security token included in the request is invalid.");
    if (!check_skew(then_ms, stamp, now_ms, err) ||
        !check_signed_headers(rq, auth.signed_headers, err) || !check_payload(rq, err))
        return false;
    calculate(rq, &auth, secret, stamp, expected);
    if (!crypto_equal(auth.signature, str_of(expected)))
        return err_set(err, ERR_INVALID_SIGNATURE, "%s", mismatch_text);
    *out = auth;
    return true;
}

bool
sigv4_check_service(const struct sigv4_authorization *auth, const char *service, struct err *err)
{
    if (str_is(auth->service, service))
        return true;
    return err_set(err, ERR_INVALID_SIGNATURE,
                   "Credential should be scoped to correct service: '%s', not '" STR_FMT "'.", service,
                   STR_ARG(str_slice(auth->service, 0, 60)));
}

void
sigv4_sign(const struct sigv4_request *rq, const char *access_key_id, const char *secret,
           const char *region, const char *service, const char *amz_date, const char *signed_headers,
           struct strbuf *out)
{
    const struct sigv4_authorization auth = {
        .date = str_slice(str_of(amz_date), 0, 8),
        .region = str_of(region),
        .service = str_of(service),
        .signed_headers = str_of(signed_headers),
    };
    char signature[SHA256_HEX + 1];

    calculate(rq, &auth, secret, amz_date, signature);
    strbuf_addf(out,
                ALGORITHM " Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
                access_key_id, amz_date, region, service, signed_headers, signature);
}
