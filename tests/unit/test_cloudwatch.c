/* SPDX-License-Identifier: MIT */
/* CloudWatch over a book of traffic, in both protocols. */
#include "api/cloudwatch_metric.h"
#include "api_world.h"

#define NOON (INT64_C(1530532800) * 1000) /* 2018-07-02T12:00:00Z */
#define MINUTE INT64_C(60000)
#define LB "app/x/0011223344556677"
#define TG "targetgroup/web/0123456789abcdef"
#define ARN "arn:aws:elasticloadbalancing:" WORLD_REGION ":" WORLD_ACCOUNT ":"

static struct arena texts;

/* Ten minutes: i requests in minute i to the group, each of 10 * i ms; two healthy targets. */
static void
fill(struct world *w)
{
    struct traffic_series *lb, *tg;

    world_init(w);
    w->now_ms = NOON + 20 * MINUTE;
    w->book = traffic_book_new();
    lb = traffic_book_get(w->book, TRAFFIC_OF_LOAD_BALANCER, ARN "loadbalancer/" LB);
    tg = traffic_book_get(w->book, TRAFFIC_OF_GROUP, ARN TG);
    text_copy_all(lb->owner, sizeof(lb->owner), lb->id);
    text_copy_all(tg->owner, sizeof(tg->owner), lb->id);
    for (int i = 0; i < 10; i++) {
        const int64_t at_ms = NOON + i * MINUTE + 1000;
        traffic_look(w->book, tg, GAUGE_healthy, 2, at_ms);
        traffic_add(w->book, lb, TRAFFIC_routed, i, at_ms);
        traffic_add(w->book, lb, TRAFFIC_elb_502, i == 3 ? 4 : 0, at_ms);
        traffic_add(w->book, tg, TRAFFIC_routed, i, at_ms);
        traffic_add(w->book, tg, TRAFFIC_requests, i, at_ms);
        traffic_add(w->book, lb, TRAFFIC_received_bytes, 100, at_ms);
        traffic_add(w->book, lb, TRAFFIC_sent_bytes, 1000, at_ms);
        for (int k = 0; k < i; k++)
            traffic_answered(w->book, lb, 10 * i, at_ms);
    }
}

static void
end(struct world *w)
{
    traffic_book_free(w->book);
    world_done(w);
}

static int
query(struct world *w, const char *form)
{
    return world_send(w, "monitoring", "application/x-www-form-urlencoded", NULL,
                      arena_format(&texts, "Version=2010-08-01&%s", form));
}

#define DIMENSION(n, name, value)                                                              \
    "&Dimensions.member." #n ".Name=" name "&Dimensions.member." #n ".Value=" value
#define OF_LB DIMENSION(1, "LoadBalancer", LB)
#define OF_BOTH OF_LB DIMENSION(2, "TargetGroup", TG)
#define STATISTICS(metric, dimensions, period, rest)                                           \
    "Action=GetMetricStatistics&Namespace=AWS%%2FApplicationELB&MetricName=" metric dimensions \
    "&StartTime=2018-07-02T12:00:00Z&EndTime=2018-07-02T12:10:00Z&Period=" period rest

static void
works_at(struct world *w, int line, const char *form)
{
    if (query(w, form) != 200)
        check_fail(__FILE__, line, "%s: %s", form, w->body);
}
#define works(w, ...) works_at(w, __LINE__, arena_format(&texts, __VA_ARGS__))

static void
has_at(const struct world *w, int line, const char *part)
{
    if (strstr(w->body, part) == NULL)
        check_fail(__FILE__, line, "no '%s' in %s", part, w->body);
}
#define has(w, part) has_at(w, __LINE__, part)

static void
refused_at(struct world *w, int line, const char *code, const char *text, const char *form)
{
    if (query(w, form) == 200)
        check_fail(__FILE__, line, "%s works: %s", form, w->body);
    has_at(w, line, arena_format(&texts, "<Code>%s</Code>", code));
    has_at(w, line, text);
}
#define refused(w, code, text, ...) refused_at(w, __LINE__, code, text, arena_format(&texts, __VA_ARGS__))

/* A form that is no literal: "%%" is a percent sign there, too. */
static const char *
form_of(const char *form)
{
    char *copy = arena_cstr(&texts, str_of(form)), *to = copy;

    for (const char *from = copy; *from != '\0'; from++) {
        *to++ = *from;
        from += from[0] == '%' && from[1] == '%';
    }
    *to = '\0';
    return copy;
}

static int
occurrences(const struct world *w, const char *part)
{
    int count = 0;

    for (const char *at = w->body; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

TEST(statistics_of_a_period)
{
    cleanup(end) struct world w;

    fill(&w);
    works(&w, STATISTICS("RequestCount", OF_LB, "300", "&Statistics.member.1=Sum&Statistics.member.2=Average"));
    has(&w, "<Label>RequestCount</Label>");
    has(&w, "<member><Timestamp>2018-07-02T12:00:00.000Z</Timestamp><Sum>10</Sum><Average>1</Average><Unit>Count</Unit></member>"
            "<member><Timestamp>2018-07-02T12:05:00.000Z</Timestamp><Sum>35</Sum><Average>1</Average><Unit>Count</Unit></member>");
    works(&w, STATISTICS("RequestCount", OF_LB, "60", "&Statistics.member.1=SampleCount"));
    CHECK_EQ(occurrences(&w, "<Timestamp>"), 9); /* in the first minute there was none */
    works(&w, STATISTICS("TargetResponseTime", OF_LB, "600",
                         "&Statistics.member.1=Minimum&Statistics.member.2=Maximum&Statistics.member.3=SampleCount"));
    has(&w, "<Minimum>0.01</Minimum><Maximum>0.09</Maximum><SampleCount>45</SampleCount><Unit>Seconds</Unit>");
    works(&w, STATISTICS("ProcessedBytes", OF_LB, "120", "&Statistics.member.1=Sum&Statistics.member.2=SampleCount"));
    has(&w, "<Sum>2200</Sum><SampleCount>2</SampleCount><Unit>Bytes</Unit>");
    works(&w, STATISTICS("HealthyHostCount", OF_BOTH, "600", "&Statistics.member.1=Average&Statistics.member.2=Minimum"));
    has(&w, "<Average>2</Average><Minimum>2</Minimum>");
    works(&w, STATISTICS("RequestCountPerTarget", DIMENSION(1, "TargetGroup", TG), "600", "&Statistics.member.1=Sum"));
    has(&w, "<Sum>22.5</Sum>");
    works(&w, STATISTICS("HTTPCode_ELB_502_Count", OF_LB, "600", "&Statistics.member.1=Sum"));
    has(&w, "<Sum>4</Sum>");
}

TEST(percentiles_are_a_map)
{
    cleanup(end) struct world w;

    fill(&w);
    works(&w, STATISTICS("TargetResponseTime", OF_LB, "600",
                         "&ExtendedStatistics.member.1=p100&ExtendedStatistics.member.2=p0"));
    has(&w, "<ExtendedStatistics><entry><key>p100</key><value>0.09</value></entry>"
            "<entry><key>p0</key><value>0.01</value></entry></ExtendedStatistics>");
    works(&w, STATISTICS("RequestCount", OF_LB, "600", "&ExtendedStatistics.member.1=p50"));
    CHECK_EQ(occurrences(&w, "<entry>"), 0); /* a count has none */
    refused(&w, "InvalidParameterValue", "tm99", STATISTICS("TargetResponseTime", OF_LB, "600",
                                                            "&ExtendedStatistics.member.1=tm99"));
    refused(&w, "InvalidParameterValue", "p101", STATISTICS("TargetResponseTime", OF_LB, "600",
                                                            "&ExtendedStatistics.member.1=p101"));
}

TEST(what_does_not_exist_has_no_points)
{
    static const char *const forms[] = {
        STATISTICS("RequestCount", DIMENSION(1, "LoadBalancer", "app/y/0011223344556677"), "60", "&Statistics.member.1=Sum"),
        STATISTICS("RequestCount", OF_LB DIMENSION(2, "AvailabilityZone", "eu-west-1a"), "60", "&Statistics.member.1=Sum"),
        STATISTICS("RequestCount", "", "60", "&Statistics.member.1=Sum"),
        STATISTICS("RequestCount", DIMENSION(1, "TargetGroup", TG), "60", "&Statistics.member.1=Sum"),
        STATISTICS("RequestCount", OF_LB, "60", "&Statistics.member.1=Sum&Unit=Bytes"),
        STATISTICS("RequestCount", OF_LB, "30", "&Statistics.member.1=Sum"),
        STATISTICS("RejectedConnectionCount", OF_LB, "60", "&Statistics.member.1=Sum"),
        STATISTICS("NewFlowCount", OF_LB, "60", "&Statistics.member.1=Sum"),
        STATISTICS("RequestCount", DIMENSION(1, "LoadBalancer", "app/other/1") DIMENSION(2, "TargetGroup", TG), "60",
                   "&Statistics.member.1=Sum"),
    };
    cleanup(end) struct world w;

    fill(&w);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        works_at(&w, __LINE__, form_of(forms[i]));
        if (occurrences(&w, "<Timestamp>") != 0)
            check_fail(__FILE__, __LINE__, "%s: %s", forms[i], w.body);
    }
    w.region = "us-east-1"; /* it is another region's */
    works(&w, STATISTICS("RequestCount", OF_LB, "60", "&Statistics.member.1=Sum"));
    CHECK_EQ(occurrences(&w, "<Timestamp>"), 0);
}

#define RANGE(start, end, period)                                                                   \
    "Action=GetMetricStatistics&Namespace=AWS%%2FApplicationELB&MetricName=RequestCount" OF_LB      \
    "&Statistics.member.1=Sum&StartTime=" start "&EndTime=" end "&Period=" period

TEST(wrong_statistics_are_refused)
{
    cleanup(end) struct world w;

    fill(&w);
    refused(&w, "InvalidParameterCombination", "At least one", STATISTICS("RequestCount", OF_LB, "60", ""));
    refused(&w, "InvalidParameterCombination", "together",
            STATISTICS("RequestCount", OF_LB, "60", "&Statistics.member.1=Sum&ExtendedStatistics.member.1=p1"));
    refused(&w, "InvalidParameterValue", "Period", STATISTICS("RequestCount", OF_LB, "61", "&Statistics.member.1=Sum"));
    refused(&w, "ValidationError", "Period", STATISTICS("RequestCount", OF_LB, "0", "&Statistics.member.1=Sum"));
    refused(&w, "ValidationError", "Statistics", STATISTICS("RequestCount", OF_LB, "60", "&Statistics.member.1=Total"));
    refused(&w, "InvalidParameterValue", "StartTime", RANGE("2018-07-02T12:00:00Z", "2018-07-02T12:00:00Z", "60"));
    refused(&w, "InvalidParameterCombination", "up to 1441", RANGE("2018-07-02T12:00:00Z", "2018-07-03T12:01:00Z", "60"));
    works(&w, RANGE("2018-07-02T12:00:00Z", "2018-07-03T12:00:00Z", "60"));
    works(&w, RANGE("1530532800", "1530533400", "60"));
    CHECK_EQ(occurrences(&w, "<Timestamp>"), 9);
    refused(&w, "ValidationError", "StartTime", RANGE("noon", "2018-07-02T12:00:00Z", "60"));
    refused(&w, "ValidationError", "StartTime", RANGE("nan", "2018-07-02T12:00:00Z", "60"));
    refused(&w, "InvalidParameterValue", "1970", RANGE("-5", "2018-07-02T12:00:00Z", "60"));
    refused(&w, "UnsupportedFeature", "PutMetricAlarm", "Action=PutMetricAlarm");
    refused(&w, "UnsupportedFeature", "PutAlarmMuteRule", "Action=PutAlarmMuteRule");
    traffic_book_free(w.book);
    w.book = NULL;
    refused(&w, "ServiceUnavailable", "does not see", RANGE("2018-07-02T12:00:00Z", "2018-07-02T12:10:00Z", "60"));
}

#define STAT(n, id, metric, stat, period)                                                              \
    "&MetricDataQueries.member." #n ".Id=" id "&MetricDataQueries.member." #n                          \
    ".MetricStat.Metric.Namespace=AWS%%2FApplicationELB&MetricDataQueries.member." #n                  \
    ".MetricStat.Metric.MetricName=" metric "&MetricDataQueries.member." #n                            \
    ".MetricStat.Metric.Dimensions.member.1.Name=LoadBalancer&MetricDataQueries.member." #n            \
    ".MetricStat.Metric.Dimensions.member.1.Value=" LB "&MetricDataQueries.member." #n                 \
    ".MetricStat.Stat=" stat "&MetricDataQueries.member." #n ".MetricStat.Period=" period
#define DATA(rest)                                                                                     \
    "Action=GetMetricData&StartTime=2018-07-02T12:00:00Z&EndTime=2018-07-02T12:10:00Z" rest

TEST(data_of_several_metrics)
{
    cleanup(end) struct world w;

    fill(&w);
    works(&w, DATA(STAT(1, "a", "RequestCount", "Sum", "300") STAT(2, "b", "TargetResponseTime", "p100", "300")
                   STAT(3, "c", "RequestCount", "Sum", "60") "&MetricDataQueries.member.3.ReturnData=false"
                   "&MetricDataQueries.member.2.Label=slow"));
    has(&w, "<member><Id>a</Id><Label>RequestCount</Label><Timestamps><member>2018-07-02T12:05:00.000Z</member>"
            "<member>2018-07-02T12:00:00.000Z</member></Timestamps><Values><member>35</member><member>10</member></Values>"
            "<StatusCode>Complete</StatusCode></member>");
    has(&w, "<Id>b</Id><Label>slow</Label>");
    has(&w, "<Values><member>0.09</member><member>0.04</member></Values>");
    CHECK_EQ(occurrences(&w, "<Id>"), 2);
    works(&w, DATA(STAT(1, "a", "RequestCount", "Sum", "300") "&ScanBy=TimestampAscending"));
    has(&w, "<Values><member>10</member><member>35</member></Values>");
    works(&w, DATA(STAT(1, "a", "Nonsense", "Sum", "300")));
    has(&w, "<Timestamps></Timestamps><Values></Values><StatusCode>Complete</StatusCode>");
}

TEST(data_come_in_pages)
{
    cleanup(end) struct world w;

    fill(&w);
    works(&w, DATA(STAT(1, "a", "RequestCount", "Sum", "60") STAT(2, "b", "RequestCount", "Sum", "300")
                   "&MaxDatapoints=10&ScanBy=TimestampAscending"));
    has(&w, "<NextToken>10</NextToken>");
    has(&w, "<Values><member>10</member></Values><StatusCode>PartialData</StatusCode>");
    works(&w, DATA(STAT(1, "a", "RequestCount", "Sum", "60") STAT(2, "b", "RequestCount", "Sum", "300")
                   "&MaxDatapoints=10&ScanBy=TimestampAscending&NextToken=10"));
    has(&w, "<Values><member>35</member></Values><StatusCode>Complete</StatusCode>");
    CHECK_EQ(occurrences(&w, "<NextToken>"), 0);
    refused(&w, "InvalidNextToken", "NextToken", DATA(STAT(1, "a", "RequestCount", "Sum", "60") "&NextToken=x"));
    works(&w, DATA(STAT(1, "a", "RequestCount", "Sum", "60") "&NextToken=9223372036854775807")); /* behind all */
    CHECK_EQ(occurrences(&w, "<NextToken>"), 0);
    has(&w, "<Values></Values><StatusCode>Complete</StatusCode>");
}

TEST(wrong_queries_are_refused)
{
    cleanup(end) struct world w;
    cleanup(strbuf_done) struct strbuf many = {0};

    fill(&w);
    refused(&w, "ValidationError", "MetricDataQueries", DATA("&MetricDataQueries="));
    refused(&w, "ValidationError", "pattern", DATA(STAT(1, "A", "RequestCount", "Sum", "60")));
    refused(&w, "ValidationError", "unique", DATA(STAT(1, "a", "RequestCount", "Sum", "60") STAT(2, "a", "RequestCount", "Sum", "60")));
    refused(&w, "ValidationError", "tm99", DATA(STAT(1, "a", "RequestCount", "tm99", "60")));
    refused(&w, "InvalidParameterValue", "Period", DATA(STAT(1, "a", "RequestCount", "Sum", "90")));
    refused(&w, "UnsupportedFeature", "metric math",
            DATA("&MetricDataQueries.member.1.Id=a&MetricDataQueries.member.1.Expression=SUM(METRICS())"));
    refused(&w, "UnsupportedFeature", "Dynamic labels",
            DATA(STAT(1, "a", "RequestCount", "Sum", "60") "&MetricDataQueries.member.1.Label=%%24%%7BMAX%%7D"));
    refused(&w, "UnsupportedFeature", "LabelOptions",
            DATA(STAT(1, "a", "RequestCount", "Sum", "60") "&LabelOptions.Timezone=%%2B0900"));
    refused(&w, "ValidationError", "MetricStat", DATA("&MetricDataQueries.member.1.Id=a"));
    refused(&w, "InvalidParameterValue", "account", DATA(STAT(1, "a", "RequestCount", "Sum", "60")
                                                        "&MetricDataQueries.member.1.AccountId=111111111111"));
    refused(&w, "InvalidParameterValue", "MaxDatapoints", DATA(STAT(1, "a", "RequestCount", "Sum", "60") "&MaxDatapoints=100801"));
    strbuf_add_cstr(&many, "Action=GetMetricData&StartTime=1&EndTime=2");
    for (int i = 1; i <= 501; i++)
        strbuf_addf(&many, "&MetricDataQueries.member.%d.Id=a%d", i, i);
    CHECK(query(&w, strbuf_cstr(&many)) == 400);
    has(&w, "1 to 500");
}

TEST(metrics_with_points_are_listed)
{
    cleanup(end) struct world w;

    fill(&w);
    works(&w, "Action=ListMetrics&Namespace=AWS%%2FApplicationELB&MetricName=RequestCount");
    CHECK_EQ(occurrences(&w, "<MetricName>RequestCount</MetricName>"), 2);
    has(&w, "<Dimensions><member><Name>TargetGroup</Name><Value>" TG "</Value></member><member><Name>LoadBalancer</Name>"
            "<Value>" LB "</Value></member></Dimensions>");
    works(&w, "Action=ListMetrics&MetricName=RequestCount&Dimensions.member.1.Name=TargetGroup");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 1);
    works(&w, "Action=ListMetrics&MetricName=RequestCount&Dimensions.member.1.Name=TargetGroup&Dimensions.member.1.Value=x");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 0);
    works(&w, "Action=ListMetrics");
    CHECK_EQ(occurrences(&w, "NewConnectionCount"), 0); /* no point */
    CHECK_EQ(occurrences(&w, "AWS/NetworkELB"), 0);
    works(&w, "Action=ListMetrics&RecentlyActive=PT3H");
    CHECK(occurrences(&w, "<MetricName>") > 3);
    w.now_ms += 200 * MINUTE;
    works(&w, "Action=ListMetrics&RecentlyActive=PT3H");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 0);
    refused(&w, "UnsupportedFeature", "IncludeLinkedAccounts", "Action=ListMetrics&IncludeLinkedAccounts=true");
    refused(&w, "InvalidParameterValue", "OwningAccount", "Action=ListMetrics&OwningAccount=111111111111");
    refused(&w, "InvalidParameterValue", "NextToken", "Action=ListMetrics&NextToken=x");
}

#define NET "net/y/0011223344556677"

TEST(network_load_balancers_have_a_namespace_of_their_own)
{
    cleanup(end) struct world w;
    struct traffic_series *lb;

    fill(&w);
    lb = traffic_book_get(w.book, TRAFFIC_OF_LOAD_BALANCER, ARN "loadbalancer/" NET);
    text_copy_all(lb->owner, sizeof(lb->owner), lb->id);
    traffic_add(w.book, lb, TRAFFIC_connections, 7, NOON);
    works(&w, "Action=ListMetrics&Namespace=AWS%%2FNetworkELB");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 1);
    has(&w, "<MetricName>NewFlowCount</MetricName>");
    works(&w, "Action=GetMetricStatistics&Namespace=AWS%%2FNetworkELB&MetricName=NewFlowCount"
              DIMENSION(1, "LoadBalancer", NET) "&StartTime=2018-07-02T12:00:00Z&EndTime=2018-07-02T12:10:00Z&Period=60"
              "&Statistics.member.1=Sum");
    has(&w, "<Sum>7</Sum><Unit>Count</Unit>");
    works(&w, STATISTICS("NewConnectionCount", DIMENSION(1, "LoadBalancer", NET), "60", "&Statistics.member.1=Sum"));
    CHECK_EQ(occurrences(&w, "<Timestamp>"), 0); /* not under the other name */
}

TEST(many_metrics_come_in_pages)
{
    cleanup(end) struct world w;

    fill(&w);
    for (int i = 0; i < 501; i++) {
        struct traffic_series *s = traffic_book_get(w.book, TRAFFIC_OF_LOAD_BALANCER,
                                                    arena_format(&texts, ARN "loadbalancer/app/many/%016d", i));
        text_copy_all(s->owner, sizeof(s->owner), s->id);
        traffic_add(w.book, s, TRAFFIC_connections, 1, NOON);
    }
    works(&w, "Action=ListMetrics&MetricName=NewConnectionCount");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 500);
    has(&w, "<NextToken>500</NextToken>");
    works(&w, "Action=ListMetrics&MetricName=NewConnectionCount&NextToken=500");
    CHECK_EQ(occurrences(&w, "<MetricName>"), 1);
    CHECK_EQ(occurrences(&w, "<NextToken>"), 0);
    works(&w, "Action=ListMetrics&NextToken=9223372036854775807"); /* behind all */
    CHECK_EQ(occurrences(&w, "<MetricName>"), 0);
    CHECK_EQ(occurrences(&w, "<NextToken>"), 0);
}

TEST(json_says_the_same)
{
    cleanup(end) struct world w;

    fill(&w);
    CHECK_EQ(world_send(&w, "monitoring", "application/x-amz-json-1.0", "GraniteServiceVersion20100801.GetMetricStatistics",
                        "{\"Namespace\":\"AWS/ApplicationELB\",\"MetricName\":\"TargetResponseTime\",\"StartTime\":1530532800,"
                        "\"EndTime\":1530533400.0,\"Period\":600,\"ExtendedStatistics\":[\"p100\"],\"Dimensions\":["
                        "{\"Name\":\"LoadBalancer\",\"Value\":\"" LB "\"}]}"), 200);
    has(&w, "\"ExtendedStatistics\":{\"p100\":0.09");
    has(&w, "\"Timestamp\":1530532800");
    CHECK_EQ(world_send(&w, "monitoring", "application/x-amz-json-1.0", "GraniteServiceVersion20100801.GetMetricStatistics",
                        "{\"Namespace\":\"AWS/ApplicationELB\",\"MetricName\":\"x\",\"StartTime\":2,\"EndTime\":1,\"Period\":60,"
                        "\"Statistics\":[\"Sum\"]}"), 400);
    has(&w, "\"__type\":\"InvalidParameterValueException\"");
}

TEST(names_of_statistics)
{
    static const char *const bad[] = {"", "p", "p.", "p.5", "p-1", "p1e1", "p100.1", "sum", "p99.99999999999999", "tm90", "IQM"};
    struct cw_statistic s;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!cw_statistic_parse(bad[i], &s));
    CHECK(cw_statistic_parse("p99.9", &s) && s.kind == CW_PERCENTILE && s.share > 0.998 && s.share < 0.9991);
    CHECK(cw_statistic_parse("Maximum", &s) && s.kind == CW_MAXIMUM);
}
