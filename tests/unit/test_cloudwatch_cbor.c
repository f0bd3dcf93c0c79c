/* SPDX-License-Identifier: MIT */
/* CloudWatch in RPC v2 CBOR: the same answers as in JSON, and errors with both of their names. */
#include "api/protocol.h"
#include "base/crypto.h"
#include "api_world.h"

#define NOON (INT64_C(1530532800) * 1000) /* 2018-07-02T12:00:00Z */
#define MINUTE INT64_C(60000)
#define LB "app/x/0011223344556677"
#define ARN "arn:aws:elasticloadbalancing:" WORLD_REGION ":" WORLD_ACCOUNT ":"
#define SERVICE "/service/GraniteServiceVersion20100801/operation/"

static const char *
hex_of(struct str bytes)
{
    static char out[4096];

    CHECK(2 * bytes.len < sizeof(out));
    hex_encode(bytes.at, bytes.len, out);
    return out;
}

struct asked {
    const char *method, *path, *protocol, *content_type, *service;
};

/* The answer's headers are in `out`, its body is the caller's. */
static void
send_bytes(struct world *w, const struct asked *asked, struct str body, struct api_answer *out)
{
    char stamp[24];
    cleanup(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_header headers[5];
    struct api_request http = {.request_id = "00000000-0000-4000-8000-000000000000"};

    clock_format_basic(clock_wall_ms(), stamp);
    headers[0] = (struct sigv4_header){STR("Host"), STR("localhost:4566")};
    headers[1] = (struct sigv4_header){STR("X-Amz-Date"), str_of(stamp)};
    headers[2] = (struct sigv4_header){STR("Content-Type"), str_of(asked->content_type)};
    headers[3] = (struct sigv4_header){STR("smithy-protocol"), str_of(asked->protocol)};
    http.signed_part = (struct sigv4_request){.method = str_of(asked->method),
                                              .path = str_of(asked->path),
                                              .headers = headers,
                                              .header_count = 4,
                                              .body = body};
    sigv4_sign(&http.signed_part, WORLD_KEY, WORLD_SECRET, WORLD_REGION, asked->service, stamp,
               "content-type;host;smithy-protocol;x-amz-date", &authorization);
    headers[4] = (struct sigv4_header){STR("Authorization"), strbuf_str(&authorization)};
    http.signed_part.header_count = 5;
    *out = (struct api_answer){0};
    api_call(w->api, &http, out);
}

static void
keep_answer(struct world *w, struct api_answer *answer)
{
    struct err err = {0};

    CHECK_TEXT(answer->content_type, "application/cbor");
    CHECK_TEXT(answer->smithy_protocol, "rpc-v2-cbor");
    CHECK_TEXT(answer->error_type, "");
    json_unref(w->answer);
    w->answer = NULL;
    CHECK(cbor_protocol_read(strbuf_str(&answer->body), &w->answer, &err));
    strbuf_done(&answer->body);
}

static struct asked
ask_for(const char *operation)
{
    static char path[128];

    snprintf(path, sizeof(path), SERVICE "%s", operation);
    return (struct asked){"POST", path, "rpc-v2-cbor", "application/cbor", "monitoring"};
}

static char *
json_of(const char *input)
{
    char *text = text_dup(input);

    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return text;
}

/* `input` is JSON with ' for "; {'\u0001': milliseconds} is a time. Gives the status. */
static int
ask(struct world *w, const char *operation, const char *input, struct api_answer *answer)
{
    const struct asked asked = ask_for(operation);
    cleanup(strbuf_done) struct strbuf body = {0};
    cleanup_free char *text = json_of(input);
    struct err err = {0};
    cleanup_json struct json *value = json_parse(str_of(text), &err);

    CHECK(value != NULL);
    cbor_protocol_write(&body, value);
    send_bytes(w, &asked, strbuf_str(&body), answer);
    keep_answer(w, answer);
    return answer->status;
}

static void
check_error(const struct world *w, int line, const struct api_answer *answer, const char *type,
            const char *query_error, const char *message)
{
    check_equal_text(__FILE__, line, "__type", text_at(w->answer, "__type"), type);
    check_equal_text(__FILE__, line, "x-amzn-query-error", answer->query_error, query_error);
    if (strstr(text_at(w->answer, "message"), message) == NULL)
        check_fail(__FILE__, line, "'%s' lacks '%s'", text_at(w->answer, "message"), message);
}
#define CHECK_ERROR(w, type, query_error, message) \
    check_error(w, __LINE__, &answer, type, query_error, message)

static void
fill(struct world *w)
{
    struct traffic_series *lb;

    world_init(w);
    w->now_ms = NOON + 20 * MINUTE;
    w->book = traffic_book_new();
    lb = traffic_book_get(w->book, TRAFFIC_OF_LOAD_BALANCER, ARN "loadbalancer/" LB);
    text_copy_all(lb->owner, sizeof(lb->owner), lb->id);
    for (int i = 0; i < 10; i++) {
        traffic_add(w->book, lb, TRAFFIC_routed, i, NOON + i * MINUTE + 1000);
        for (int k = 0; k < i; k++)
            traffic_answered(w->book, lb, 10 * i, NOON + i * MINUTE + 1000);
    }
}

static void
end(struct world *w)
{
    traffic_book_free(w->book);
    world_done(w);
}

#define DIMENSIONS "'Dimensions':[{'Name':'LoadBalancer','Value':'" LB "'}]"
#define RANGE_CBOR "'StartTime':{'\\u0001':1530532800000},'EndTime':{'\\u0001':1530533400000}"
#define RANGE_JSON "'StartTime':1530532800,'EndTime':1530533400"
#define STATISTICS(metric, range, rest) \
    "{'Namespace':'AWS/ApplicationELB','MetricName':'" metric "'," DIMENSIONS "," range "," rest "}"
#define DATA(range)                                                                                \
    "{'MetricDataQueries':[{'Id':'m','MetricStat':{'Stat':'Sum','Period':60,'Metric':{'Namespace'" \
    ":"                                                                                            \
    "'AWS/ApplicationELB','MetricName':'RequestCount'," DIMENSIONS "}}}]," range "}"

/* Both protocols say the same, number by number, time by time. */
static void
same_at(struct world *w, int line, const char *operation, const char *cbor_input,
        const char *json_input)
{
    cleanup_free char *text = json_of(json_input), *said = NULL, *target = NULL;
    struct api_answer answer;

    target = text_format("GraniteServiceVersion20100801.%s", operation);
    if (world_send(w, "monitoring", "application/x-amz-json-1.0", target, text) != 200)
        check_fail(__FILE__, line, "%s: %s", json_input, w->body);
    CHECK_EQ(ask(w, operation, cbor_input, &answer), 200);
    CHECK_TEXT(answer.query_error, "");
    said = json_format(w->answer);
    check_equal_text(__FILE__, line, operation, said, w->body);
}
#define SAME(w, operation, cbor_input, json_input) \
    same_at(w, __LINE__, operation, cbor_input, json_input)

TEST(cloudwatch_says_the_same_in_cbor)
{
    cleanup(end) struct world w;

    fill(&w);
    SAME(&w, "GetMetricStatistics",
         STATISTICS("RequestCount", RANGE_CBOR, "'Period':300,'Statistics':['Sum','Average']"),
         STATISTICS("RequestCount", RANGE_JSON, "'Period':300,'Statistics':['Sum','Average']"));
    CHECK_EQ(json_size(json_get(w.answer, "Datapoints")), 2);
    SAME(&w, "GetMetricStatistics",
         STATISTICS("TargetResponseTime", RANGE_CBOR,
                    "'Period':600,'ExtendedStatistics':['p50','p99']"),
         STATISTICS("TargetResponseTime", RANGE_JSON,
                    "'Period':600,'ExtendedStatistics':['p50','p99']"));
    CHECK_EQ(json_size(json_get(world_item(&w, "Datapoints", 0), "ExtendedStatistics")), 2);
    SAME(&w, "GetMetricData", DATA(RANGE_CBOR), DATA(RANGE_JSON));
    CHECK_EQ(json_size(json_get(world_item(&w, "MetricDataResults", 0), "Values")),
             9); /* nothing was counted in the first minute */
    SAME(&w, "ListMetrics", "{'MetricName':'RequestCount'}", "{'MetricName':'RequestCount'}");
    CHECK_EQ(json_size(json_get(w.answer, "Metrics")), 1);
}

TEST(values_are_doubles_and_times_have_their_tag)
{
    cleanup(end) struct world w;
    cleanup(strbuf_done) struct strbuf body = {0};
    cleanup_free char *text =
        json_of(STATISTICS("RequestCount", RANGE_CBOR, "'Period':600,'Statistics':['Sum']"));
    const struct asked asked = ask_for("GetMetricStatistics");
    struct api_answer answer;
    struct err err = {0};
    cleanup_json struct json *value = json_parse(str_of(text), &err);

    fill(&w);
    cbor_protocol_write(&body, value);
    send_bytes(&w, &asked, strbuf_str(&body), &answer);
    CHECK_TEXT(hex_of(strbuf_str(&answer.body)),
               "a2"
               "654c6162656c"
               "6c52657175657374436f756e74" /* Label: RequestCount */
               "6a44617461706f696e7473"
               "81"
               "a3" /* Datapoints: one of three members */
               "6954696d657374616d70"
               "c1fb41d6ce84f0000000" /* Timestamp: noon */
               "6353756d"
               "fb4046800000000000" /* Sum: 45 */
               "64556e6974"
               "65436f756e74"); /* Unit: Count */
    strbuf_done(&answer.body);
}

TEST(no_body_is_no_members)
{
    cleanup(end) struct world w;
    struct asked asked = ask_for("ListMetrics");
    struct api_answer answer;

    fill(&w);
    asked.content_type = "text/plain";
    send_bytes(&w, &asked, STR(""), &answer);
    keep_answer(&w, &answer);
    CHECK_EQ(answer.status, 200);
    CHECK(json_size(json_get(w.answer, "Metrics")) > 1);
}

TEST(errors_have_both_names)
{
    cleanup(end) struct world w;
    struct api_answer answer;

    fill(&w);
    CHECK_EQ(ask(&w, "GetMetricStatistics",
                 STATISTICS("RequestCount", RANGE_CBOR, "'Period':7,'Statistics':['Sum']"),
                 &answer),
             400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#InvalidParameterValueException",
                "InvalidParameterValue;Sender", "The parameter Period must be");
    CHECK_EQ(ask(&w, "GetMetricStatistics", STATISTICS("RequestCount", RANGE_CBOR, "'Period':60"),
                 &answer),
             400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#InvalidParameterCombinationException",
                "InvalidParameterCombination;Sender", "At least one of");
    CHECK_EQ(ask(&w, "GetMetricStatistics", "{'Namespace':'x'}", &answer), 400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#ValidationError", "ValidationError;Sender",
                "'MetricName'");
    CHECK_EQ(ask(&w, "ListMetrics", "{'Namespace':7}", &answer), 400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#SerializationException", "ValidationError;Sender",
                "'Namespace'");
    CHECK_EQ(ask(&w, "PutMetricData", "{}", &answer), 400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#UnsupportedFeatureException",
                "UnsupportedFeature;Sender", "PutMetricData is not built");
    CHECK_EQ(ask(&w, "MakeCoffee", "{}", &answer), 400);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#UnknownOperationException", "InvalidAction;Sender",
                "'MakeCoffee'");
    traffic_book_free(w.book);
    w.book = NULL;
    CHECK_EQ(ask(&w, "ListMetrics", "{}", &answer), 503);
    CHECK_ERROR(&w, "com.amazonaws.cloudwatch#ServiceUnavailableException",
                "ServiceUnavailable;Receiver", "does not see");
}

static void
refused_at(struct world *w, int line, const struct asked *asked, const char *body, int status,
           const char *type, const char *query_error, const char *message)
{
    struct api_answer answer;

    send_bytes(w, asked, str_of(body), &answer);
    keep_answer(w, &answer);
    check_equal_int(__FILE__, line, "status", answer.status, status);
    check_error(w, line, &answer, type, query_error, message);
}
#define REFUSED(w, asked, body, status, type, query_error, message) \
    refused_at(w, __LINE__, asked, body, status, type, query_error, message)

TEST(what_is_no_request_in_cbor)
{
    const struct asked good = ask_for("ListMetrics");
    cleanup(end) struct world w;
    struct asked asked;

    fill(&w);
    REFUSED(&w, &good, "\x9f", 400, "com.amazonaws.cloudwatch#SerializationException",
            "ValidationError;Sender", "ends too early");
    asked = good, asked.content_type = "application/json";
    REFUSED(&w, &asked, "{}", 400, "com.amazonaws.cloudwatch#SerializationException",
            "ValidationError;Sender", "Content-Type");
    asked = good, asked.method = "PUT";
    REFUSED(&w, &asked, "\xa0", 400, "com.amazonaws.cloudwatch#UnknownOperationException",
            "InvalidAction;Sender", "POST");
    asked = good, asked.path = "/";
    REFUSED(&w, &asked, "\xa0", 400, "UnknownOperationException", "",
            "/service/SERVICE/operation/OPERATION");
    asked = good, asked.path = "/service/operation/x";
    REFUSED(&w, &asked, "\xa0", 400, "UnknownOperationException", "",
            "/service/SERVICE/operation/OPERATION");
    asked = good, asked.path = "/service/Tea/operation/Make";
    REFUSED(&w, &asked, "\xa0", 400, "UnknownOperationException", "", "'Tea'");
    asked = good, asked.service = "ecs";
    REFUSED(&w, &asked, "\xa0", 400, "com.amazonaws.cloudwatch#InvalidSignatureException",
            "SignatureDoesNotMatch;Sender", "monitoring");
    asked = good, asked.path = "/service/AmazonEC2ContainerServiceV20141113/operation/ListClusters",
    asked.service = "ecs";
    REFUSED(&w, &asked, "\xa0", 400, "UnsupportedFeatureException", "",
            "not built in naru for the service ecs");
}

TEST(other_protocols_of_smithy_are_refused_by_name)
{
    cleanup(end) struct world w;
    struct asked asked = ask_for("ListMetrics");
    struct api_answer answer;

    fill(&w);
    asked.protocol = "rpc-v2-json";
    send_bytes(&w, &asked, STR("{}"), &answer);
    CHECK_EQ(answer.status, 400);
    CHECK_TEXT(answer.content_type, "application/x-amz-json-1.1");
    CHECK(strstr(strbuf_cstr(&answer.body), "The protocol 'rpc-v2-json' is not built in naru") !=
          NULL);
    strbuf_done(&answer.body);
}
