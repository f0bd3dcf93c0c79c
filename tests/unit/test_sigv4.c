/* SPDX-License-Identifier: MIT */
#include "api/sigv4.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "check.h"

/* The vector of ecs.md 1.3. */
#define KEY_ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SIGNED "content-type;host;x-amz-date;x-amz-target"
#define CREDENTIAL "Credential=AKIDEXAMPLE/20260102/us-east-1/ecs/aws4_request"
#define SIGNATURE "34dcfb55e62e3625690fe7f5ebdda1c247133ba05dfc65031cfbbfa01c2f5e91"
#define GOOD                                                                                       \
    "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=" SIGNED ", Signature=" SIGNATURE

struct world {
    struct sigv4_header headers[8];
    struct sigv4_request rq;
    int64_t now_ms;
};

static void
world_init(struct world *w)
{
    *w = (struct world){0};
    w->headers[0] = (struct sigv4_header){STR("Host"), STR("127.0.0.1:8080")};
    w->headers[1] = (struct sigv4_header){STR("Content-Type"), STR("application/x-amz-json-1.1")};
    w->headers[2] = (struct sigv4_header){STR("X-Amz-Date"), STR("20260102T030405Z")};
    w->headers[3] = (struct sigv4_header){
        STR("X-Amz-Target"), STR("AmazonEC2ContainerServiceV20141113.DescribeServices")};
    w->headers[4] = (struct sigv4_header){STR("Authorization"), STR(GOOD)};
    w->rq = (struct sigv4_request){
        .method = STR("POST"),
        .path = STR("/"),
        .headers = w->headers,
        .header_count = 5,
        .body = STR("{\"cluster\": \"default\", \"services\": [\"web\"]}"),
    };
    CHECK(clock_parse_basic(STR("20260102T030406Z"), &w->now_ms));
}

static enum err_code
verify(const struct world *w, struct err *err)
{
    struct sigv4_authorization auth;

    *err = (struct err){0};
    return sigv4_verify(&w->rq, KEY_ID, SECRET, "", w->now_ms, &auth, err) ? ERR_NONE : err->code;
}

static void
authorize(struct world *w, const char *text)
{
    w->headers[4].value = str_of(text);
}

TEST(the_vector_gives_the_canonical_request_and_the_signature)
{
    struct world w;
    struct err err;
    cleanup(strbuf_done) struct strbuf canonical = {0}, header = {0};
    char hex[SHA256_HEX + 1];

    world_init(&w);
    sigv4_canonical(&w.rq, STR(SIGNED), &canonical);
    sha256_hex(strbuf_str(&canonical), hex);
    CHECK_TEXT(hex, "6936bb6114254f101b57ff8e164fdae45437509edf83d5e1c644035edda8d954");
    sigv4_sign(&w.rq, KEY_ID, SECRET, "us-east-1", "ecs", "20260102T030405Z", SIGNED, &header);
    CHECK_TEXT(strbuf_cstr(&header), GOOD);
    CHECK_EQ(verify(&w, &err), ERR_NONE);
}

/* The key of the last scope is remembered; another scope or secret must not get it. */
TEST(scopes_and_secrets_may_alternate)
{
    static const char *const services[] = {"ecs", "ecr", "ecs", "sts", "ecs"};
    static const char *const dates[] = {"20260102T030405Z", "20260103T030405Z", "20260102T030405Z"};
    struct world w;
    struct err err;

    for (int i = 0; i < 30; i++) {
        cleanup(strbuf_done) struct strbuf text = {0};
        struct sigv4_authorization auth;
        const char *date = dates[i % 3], *secret = i % 7 == 0 ? "another secret" : SECRET;

        world_init(&w);
        w.headers[2].value = str_of(date);
        CHECK(clock_parse_basic(str_of(date), &w.now_ms));
        sigv4_sign(&w.rq, KEY_ID, secret, i % 2 == 0 ? "us-east-1" : "eu-west-1", services[i % 5], date, SIGNED,
                   &text);
        w.headers[4].value = strbuf_str(&text);
        err = (struct err){0};
        CHECK_EQ(sigv4_verify(&w.rq, KEY_ID, SECRET, "", w.now_ms, &auth, &err), i % 7 != 0);
        world_init(&w); /* and what AWS's arithmetic gives is the same in between */
        CHECK_EQ(verify(&w, &err), ERR_NONE);
    }
}

TEST(spaces_after_commas_are_optional_and_parts_come_in_any_order)
{
    struct world w;
    struct err err;

    world_init(&w);
    authorize(&w, "AWS4-HMAC-SHA256 Signature=" SIGNATURE "," CREDENTIAL ",SignedHeaders=" SIGNED);
    CHECK_EQ(verify(&w, &err), ERR_NONE);
}

TEST(an_altered_body_header_key_or_signature_is_refused)
{
    struct world w;
    struct err err;
    struct sigv4_authorization auth;

    world_init(&w);
    w.rq.body = STR("{\"cluster\": \"default\", \"services\": [\"wob\"]}");
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    CHECK_TEXT(err.message,
               "The request signature we calculated does not match the signature you provided. Check "
               "your AWS Secret Access Key and signing method. Consult the service documentation for "
               "details.");
    world_init(&w);
    w.headers[3].value = STR("AmazonEC2ContainerServiceV20141113.DeleteService");
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    world_init(&w);
    CHECK(!sigv4_verify(&w.rq, KEY_ID, "another secret", "", w.now_ms, &auth, &err));
    CHECK_EQ(err.code, ERR_INVALID_SIGNATURE);
    CHECK(!sigv4_verify(&w.rq, "AKIDOTHER", SECRET, "", w.now_ms, &auth, &err));
    CHECK_EQ(err.code, ERR_UNRECOGNIZED_CLIENT);
    authorize(&w, "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=" SIGNED
                  ", Signature=04dcfb55e62e3625690fe7f5ebdda1c247133ba05dfc65031cfbbfa01c2f5e91");
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
}

TEST(the_clock_may_be_five_minutes_off_and_no_more)
{
    struct world w;
    struct err err;

    world_init(&w);
    CHECK(clock_parse_basic(STR("20260102T030905Z"), &w.now_ms));
    CHECK_EQ(verify(&w, &err), ERR_NONE);
    CHECK(clock_parse_basic(STR("20260102T031500Z"), &w.now_ms));
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    CHECK_TEXT(err.message, "Signature expired: 20260102T030405Z is now earlier than "
                            "20260102T031000Z (20260102T031500Z - 5 min.)");
    CHECK(clock_parse_basic(STR("20260102T025900Z"), &w.now_ms));
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    CHECK_TEXT(err.message, "Signature not yet current: 20260102T030405Z is still later than "
                            "20260102T030400Z (20260102T025900Z + 5 min.)");
}

/* Whoever sends no X-Amz-Date: the time is Date's, and is under the signature all the same. */
TEST(the_time_may_come_from_the_date_header)
{
    static const char names[] = "content-type;host;x-amz-target";
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct world w;
    struct err err;

    world_init(&w);
    w.headers[2] = (struct sigv4_header){STR("Date"), STR("Fri, 02 Jan 2026 03:04:05 GMT")};
    sigv4_sign(&w.rq, KEY_ID, SECRET, "us-east-1", "ecs", "20260102T030405Z", names, &authorization);
    authorize(&w, strbuf_cstr(&authorization));
    CHECK_EQ(verify(&w, &err), ERR_NONE);
    w.headers[2].value = STR("Fri, 02 Jan 2026 03:04:06 GMT");
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    w.headers[2].value = STR("yesterday");
    CHECK_EQ(verify(&w, &err), ERR_INCOMPLETE_SIGNATURE);
    w.headers[2] = (struct sigv4_header){STR("X-Amz-Date"), STR("2026-01-02T03:04:05Z")};
    CHECK_EQ(verify(&w, &err), ERR_INCOMPLETE_SIGNATURE);
    w.headers[2].name = STR("X-Other");
    CHECK_EQ(verify(&w, &err), ERR_INCOMPLETE_SIGNATURE);
    CHECK(strstr(err.message, "either a 'X-Amz-Date' or a 'Date'") != NULL);
}

TEST(what_is_missing_is_named)
{
    static const struct {
        const char *header;
        enum err_code code;
        const char *part;
    } cases[] = {
        {"Basic dXNlcjpwYXNz", ERR_INCOMPLETE_SIGNATURE, "AWS4-HMAC-SHA256"},
        {"AWS4-HMAC-SHA256", ERR_INCOMPLETE_SIGNATURE, "'Credential'"},
        {"AWS4-HMAC-SHA256 Signature=" SIGNATURE ", SignedHeaders=host", ERR_INCOMPLETE_SIGNATURE,
         "requires 'Credential' parameter."},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host", ERR_INCOMPLETE_SIGNATURE,
         "requires 'Signature' parameter."},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ", Signature=" SIGNATURE, ERR_INCOMPLETE_SIGNATURE,
         "requires 'SignedHeaders' parameter."},
        {"AWS4-HMAC-SHA256 Credential=AKID/20260102/ecs, SignedHeaders=host, Signature=" SIGNATURE,
         ERR_INCOMPLETE_SIGNATURE, "5 slash-delimited"},
        {"AWS4-HMAC-SHA256 Credential=A/20260102/us-east-1/ecs/aws5, SignedHeaders=host, "
         "Signature=" SIGNATURE, ERR_INCOMPLETE_SIGNATURE, "terminator"},
        {"AWS4-HMAC-SHA256 garbage, " CREDENTIAL ", SignedHeaders=host, Signature=" SIGNATURE,
         ERR_INCOMPLETE_SIGNATURE, "missing equal-sign"},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=host, Signature=short",
         ERR_INVALID_SIGNATURE, "does not match"},
        {"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=content-type;host;x-amz-date, "
         "Signature=" SIGNATURE, ERR_INVALID_SIGNATURE, "'x-amz-target' must be a 'SignedHeader'"},
        {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260103/us-east-1/ecs/aws4_request, "
         "SignedHeaders=" SIGNED ", Signature=" SIGNATURE, ERR_INVALID_SIGNATURE,
         "Date in Credential scope"},
    };
    struct world w;
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        world_init(&w);
        authorize(&w, cases[i].header);
        CHECK_EQ(verify(&w, &err), cases[i].code);
        if (strstr(err.message, cases[i].part) == NULL)
            check_fail(__FILE__, __LINE__, "'%s' lacks '%s'", err.message, cases[i].part);
    }
    world_init(&w);
    w.rq.header_count = 4;
    CHECK_EQ(verify(&w, &err), ERR_MISSING_AUTHENTICATION_TOKEN);
    w.rq.query = STR("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abc");
    CHECK_EQ(verify(&w, &err), ERR_INCOMPLETE_SIGNATURE);
    CHECK(strstr(err.message, "Presigned") != NULL);
}

TEST(the_declared_payload_hash_must_be_the_bodys)
{
    struct world w;
    struct err err;

    world_init(&w);
    w.headers[5] = (struct sigv4_header){STR("x-amz-content-sha256"), STR("UNSIGNED-PAYLOAD")};
    w.rq.header_count = 6;
    authorize(&w, "AWS4-HMAC-SHA256 " CREDENTIAL
                  ", SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, "
                  "Signature=" SIGNATURE);
    CHECK_EQ(verify(&w, &err), ERR_INVALID_SIGNATURE);
    CHECK(strstr(err.message, "x-amz-content-sha256") != NULL);
}

TEST(the_token_of_a_session_comes_with_it_under_the_signature_and_with_no_other_key)
{
    static const char names[] = "host;x-amz-date;x-amz-security-token";
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_authorization auth;
    struct world w;
    struct err err;

    world_init(&w);
    w.headers[5] = (struct sigv4_header){STR("x-amz-security-token"), STR("FwoGZXIvYXdzE")};
    w.rq.header_count = 6;
    CHECK_EQ(verify(&w, &err), ERR_UNRECOGNIZED_CLIENT); /* a key that needs none */
    CHECK(!sigv4_verify(&w.rq, KEY_ID, SECRET, "FwoGZXIvYXdzE", w.now_ms, &auth, &err));
    CHECK(strstr(err.message, "'x-amz-security-token' must be a 'SignedHeader'") != NULL);
    w.headers[3] = (struct sigv4_header){STR("X-Other"), STR("not signed")};
    sigv4_sign(&w.rq, KEY_ID, SECRET, "us-east-1", "ecs", "20260102T030405Z", names, &authorization);
    w.headers[4].value = strbuf_str(&authorization);
    CHECK(sigv4_verify(&w.rq, KEY_ID, SECRET, "FwoGZXIvYXdzE", w.now_ms, &auth, &err));
    CHECK(!sigv4_verify(&w.rq, KEY_ID, SECRET, "FwoGZXIvYXdzF", w.now_ms, &auth, &err));
    CHECK_EQ(err.code, ERR_UNRECOGNIZED_CLIENT);
    w.rq.header_count = 5; /* the token is missing */
    CHECK(!sigv4_verify(&w.rq, KEY_ID, SECRET, "FwoGZXIvYXdzE", w.now_ms, &auth, &err));
    CHECK_EQ(err.code, ERR_UNRECOGNIZED_CLIENT);
}

TEST(paths_queries_and_header_values_are_made_canonical)
{
    const struct sigv4_header headers[] = {
        {STR("My-Header"), STR("  a   b \t c ")},
        {STR("my-header"), STR("second")},
    };
    const struct sigv4_request rq = {
        .method = STR("GET"),
        .path = STR("/a/./b//../my%20file/"),
        .query = STR("b=2&a=%7e&a=1&empty&c=x%20y&d=x+y%2Bz"),
        .headers = headers,
        .header_count = 2,
    };
    cleanup(strbuf_done) struct strbuf out = {0};

    sigv4_canonical(&rq, STR("my-header"), &out);
    CHECK_TEXT(strbuf_cstr(&out),
               "GET\n/a/my%2520file/\na=1&a=~&b=2&c=x%20y&d=x%20y%2Bz&empty=\nmy-header:a b c,second\n\nmy-header\n"
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(a_scope_for_another_service_is_refused)
{
    struct sigv4_authorization auth = {.service = STR("s3")};
    struct err err = {0};

    CHECK(!sigv4_check_service(&auth, "ecs", &err));
    CHECK_EQ(err.code, ERR_INVALID_SIGNATURE);
    CHECK(strstr(err.message, "correct service: 'ecs'") != NULL);
    auth.service = STR("ecs");
    CHECK(sigv4_check_service(&auth, "ecs", &err));
}
