/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "base/clock.h"
#include "cli/aws_arguments.h"
#include "cli/client.h"
#include "cli/docker.h"
#include "cli/shorthand.h"
#include "cli/xml.h"

static char *
shorthand(const char *text)
{
    struct err err = {0};
    cleanup_json struct json *value = shorthand_parse(str_of(text), &err);

    return value != NULL ? json_format(value) : text_dup(err.code == ERR_USAGE ? "refused" : "odd");
}

#define CHECK_SHORTHAND(text, want)                \
    do {                                           \
        cleanup_free char *got_ = shorthand(text); \
        CHECK_TEXT(got_, want);                    \
    } while (0)

TEST(shorthand_reads_what_the_aws_cli_reads)
{
    CHECK_SHORTHAND("a=b", "{\"a\":\"b\"}");
    CHECK_SHORTHAND("a=b,c=d", "{\"a\":\"b\",\"c\":\"d\"}");
    CHECK_SHORTHAND("a=b,c,d=e", "{\"a\":[\"b\",\"c\"],\"d\":\"e\"}");
    CHECK_SHORTHAND("a=b,c", "{\"a\":[\"b\",\"c\"]}");
    CHECK_SHORTHAND("a=b,", "{\"a\":[\"b\"]}");
    CHECK_SHORTHAND("a=[b,c],d=e", "{\"a\":[\"b\",\"c\"],\"d\":\"e\"}");
    CHECK_SHORTHAND("a=[]", "{\"a\":[]}");
    CHECK_SHORTHAND("a={b=c,d={e=f}},g=h", "{\"a\":{\"b\":\"c\",\"d\":{\"e\":\"f\"}},\"g\":\"h\"}");
    CHECK_SHORTHAND("a=[{b=c},{b=d}]", "{\"a\":[{\"b\":\"c\"},{\"b\":\"d\"}]}");
    CHECK_SHORTHAND("a=\"x,y=z\",b='q'", "{\"a\":\"x,y=z\",\"b\":\"q\"}");
    CHECK_SHORTHAND("a=x\\,y", "{\"a\":\"x,y\"}");
    CHECK_SHORTHAND("a=", "{\"a\":\"\"}");
    CHECK_SHORTHAND("a=http://h:1/p?q=1", "{\"a\":\"http://h:1/p?q=1\"}");
}

TEST(shorthand_refuses_what_it_cannot_read)
{
    CHECK_SHORTHAND("a", "refused");
    CHECK_SHORTHAND("=b", "refused");
    CHECK_SHORTHAND("a=[b", "refused");
    CHECK_SHORTHAND("a={b=c", "refused");
    CHECK_SHORTHAND("a=\"b", "refused");
    CHECK_SHORTHAND("a=b,a=c", "refused");
    CHECK_SHORTHAND("a=[[[[[[[[[[[[[[[[[[b]]]]]]]]]]]]]]]]]]", "refused");
}

/* The input that `argv` (ended by NULL) makes, or the error's message. */
static char *
input_of(const char *service, const char *operation, char **argv)
{
    const struct aws_operation *op = operation_find(service_find(service), operation);
    cleanup_json struct json *input = NULL;
    struct err err = {0};
    int argc = 0;

    CHECK(op != NULL && op->input != NULL);
    while (argv[argc] != NULL)
        argc++;
    input = aws_arguments_parse(op, argc, argv, &err);
    return input != NULL ? json_format(input) : text_dup(err.message);
}

#define CHECK_INPUT(service, operation, want, ...)                                             \
    do {                                                                                       \
        cleanup_free char *got_ = input_of(service, operation, (char *[]){__VA_ARGS__, NULL}); \
        CHECK_TEXT(got_, want);                                                                \
    } while (0)

TEST(the_seeds_commands_become_their_inputs)
{
    CHECK_INPUT(
        "ecs", "update-service",
        "{\"cluster\":\"my-cluster\",\"service\":\"my-service\",\"forceNewDeployment\":true}",
        "--cluster", "my-cluster", "--service", "my-service", "--force-new-deployment");
    CHECK_INPUT("ecs", "update-service",
                "{\"cluster\":\"my-cluster\",\"service\":\"my-service\",\"desiredCount\":2,"
                "\"rollbackDeployment\":true}",
                "--cluster", "my-cluster", "--service", "my-service", "--desired-count", "2",
                "--rollback-deployment");
}

TEST(options_take_the_types_of_their_members)
{
    CHECK_INPUT("ecs", "describe-services", "{\"cluster\":\"c\",\"services\":[\"a\",\"b\"]}",
                "--cluster=c", "--services", "a", "b");
    CHECK_INPUT("ecs", "describe-services", "{\"services\":[\"a\",\"b\"]}", "--services",
                "[\"a\",\"b\"]");
    CHECK_INPUT("ecs", "update-service", "{\"service\":\"s\",\"forceNewDeployment\":false}",
                "--service", "s", "--no-force-new-deployment");
    CHECK_INPUT("ecs", "update-service",
                "{\"service\":\"s\",\"deploymentConfiguration\":{\"maximumPercent\":150,"
                "\"deploymentCircuitBreaker\":"
                "{\"enable\":true,\"rollback\":false}}}",
                "--service", "s", "--deployment-configuration",
                "maximumPercent=150,deploymentCircuitBreaker={enable=true,rollback=false}");
    CHECK_INPUT("ecs", "create-service",
                "{\"serviceName\":\"s\",\"loadBalancers\":[{\"targetGroupArn\":\"arn\","
                "\"containerName\":\"web\","
                "\"containerPort\":80}]}",
                "--service-name", "s", "--load-balancers",
                "targetGroupArn=arn,containerName=web,containerPort=80");
    CHECK_INPUT("ecs", "run-task",
                "{\"taskDefinition\":\"t\",\"networkConfiguration\":{\"awsvpcConfiguration\":{"
                "\"subnets\":[\"a\"]}}}",
                "--task-definition", "t", "--network-configuration",
                "awsvpcConfiguration={subnets=[a]}");
    CHECK_INPUT("ecs", "describe-services", "{\"cluster\":\"x\",\"services\":[\"b\"]}",
                "--cli-input-json", "{\"cluster\":\"x\",\"services\":[\"a\"]}", "--services", "b");
}

TEST(mistakes_are_named)
{
    CHECK_INPUT("ecs", "update-service", "the following arguments are required: --service",
                "--cluster", "c");
    CHECK_INPUT("ecs", "update-service", "Unknown options: --nope", "--service", "s", "--nope",
                "1");
    CHECK_INPUT("ecs", "update-service", "Unknown options: extra", "--service", "s", "extra");
    CHECK_INPUT("ecs", "update-service", "argument --desired-count: expected one argument",
                "--service", "s", "--desired-count");
    CHECK_INPUT("ecs", "update-service",
                "Parameter validation failed:\nInvalid type for parameter desiredCount, value: "
                "\"two\", valid types: integer",
                "--service", "s", "--desired-count", "two");
}

TEST(files_stand_for_their_content)
{
    char path[] = "/tmp/naru-test-XXXXXX";
    const int fd = mkstemp(path);
    cleanup_free char *url = text_format("file://%s", path);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "{\"services\": [\"f\"]}", 19), 19);
    close(fd);
    CHECK_INPUT("ecs", "describe-services", "{\"services\":[\"f\"]}", "--cli-input-json", url);
    unlink(path);
}

TEST(global_options_are_taken_out)
{
    char *argv[] = {(char[]){"ecs"},
                    (char[]){"--region"},
                    (char[]){"r"},
                    (char[]){"list-tasks"},
                    (char[]){"--output=text"},
                    (char[]){"--no-cli-pager"},
                    (char[]){"--cluster"},
                    (char[]){"c"}};
    struct aws_globals globals = {0};
    struct err err = {0};
    int argc = 8;

    CHECK(aws_globals_parse(&argc, argv, &globals, &err));
    CHECK_EQ(argc, 4);
    CHECK_TEXT(argv[1], "list-tasks");
    CHECK_TEXT(globals.region, "r");
    CHECK_TEXT(globals.output, "text");
}

TEST(ecr_hosts_become_this_machine)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:latest",
         "localhost:4600/my-app:latest"},
        {"--build-arg=BASE=000000000000.dkr.ecr.us-east-1.amazonaws.com/base:1",
         "--build-arg=BASE=localhost:4600/base:1"},
        {"000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/x", "localhost:4600/x"},
        {"https://000000000000.dkr.ecr.eu-west-1.amazonaws.com", "https://localhost:4600"},
        {"1123456789012.dkr.ecr.us-east-1.amazonaws.com/x", NULL},
        {"12345678901.dkr.ecr.us-east-1.amazonaws.com/x", NULL},
        {"my-app:latest", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup(strbuf_done) struct strbuf out = {0};
        const bool found = docker_rewrite(rows[i].in, "4600", &out);

        CHECK_EQ(found, rows[i].out != NULL);
        CHECK_TEXT(strbuf_cstr(&out), found ? rows[i].out : rows[i].in);
    }
}

/* The vector of the standard Python client. */
TEST(signatures_are_those_of_the_standard_client)
{
    const struct client_config config = {.access_key_id = "AKIDEXAMPLE",
                                         .secret_access_key =
                                             "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    const char *const headers[] = {
        "content-type:application/x-amz-json-1.1", "host:127.0.0.1:8080",
        "x-amz-date:20260102T030405Z",
        "x-amz-target:AmazonEC2ContainerServiceV20141113.DescribeServices"};
    struct signing signing = {.method = "POST",
                              .path = "/",
                              .query = "",
                              .headers = headers,
                              .header_count = 4,
                              .body = STR("{\"cluster\": \"default\", \"services\": [\"web\"]}"),
                              .region = "us-east-1",
                              .service = "ecs"};
    cleanup(strbuf_done) struct strbuf out = {0};

    CHECK(clock_parse_basic(STR("20260102T030405Z"), &signing.now_ms));
    client_sign(&config, &signing, &out);
    CHECK_TEXT(strbuf_cstr(&out),
               "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/ecs/aws4_request, "
               "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
               "Signature=34dcfb55e62e3625690fe7f5ebdda1c247133ba05dfc65031cfbbfa01c2f5e91");
}

TEST(query_encoding_numbers_its_lists)
{
    cleanup_json struct json *input =
        json_parse(STR("{\"Name\":\"a "
                       "b\",\"Targets\":[{\"Id\":\"10.0.0.1\",\"Port\":80}],\"Matcher\":{"
                       "\"HttpCode\":\"200-299\"},"
                       "\"Enabled\":true,\"Empty\":[]}"),
                   NULL);
    cleanup(strbuf_done) struct strbuf out = {0};

    query_encode(&out, "Do", "2015-12-01", input);
    CHECK_TEXT(strbuf_cstr(&out),
               "Action=Do&Version=2015-12-01&Name=a%20b&Targets.member.1.Id=10.0.0.1&"
               "Targets.member.1.Port=80&Matcher.HttpCode=200-299&Enabled=true&Empty=");
}

TEST(xml_answers_become_json)
{
    struct err err = {0};
    cleanup_json struct json *value = xml_to_json(
        STR("<?xml version=\"1.0\"?><DoResponse xmlns=\"x\">\n "
            "<DoResult><TargetGroups><member><Port>80</Port>"
            "<TargetGroupName>a&amp;b&#x41;</TargetGroupName><HealthCheckEnabled>true</"
            "HealthCheckEnabled>"
            "<LoadBalancerArns><member>arn</member></LoadBalancerArns></member></"
            "TargetGroups><Tags/>"
            "<RedirectConfig><Port>443</Port></RedirectConfig></DoResult></DoResponse>"),
        &err);
    cleanup_free char *text = json_format(value);

    CHECK_TEXT(text, "{\"DoResult\":{\"TargetGroups\":[{\"Port\":80,\"TargetGroupName\":\"a&bA\","
                     "\"HealthCheckEnabled\":true,\"LoadBalancerArns\":[\"arn\"]}],\"Tags\":[],"
                     "\"RedirectConfig\":{\"Port\":\"443\"}}}");
}

TEST(broken_xml_is_refused)
{
    static const char *const broken[] = {"",
                                         "text",
                                         "<a>",
                                         "<a></b>",
                                         "<a>&nope;</a>",
                                         "<a/><b/>",
                                         "<!DOCTYPE a><a/>",
                                         "<a>&#xD800;</a>",
                                         "<a"};

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++)
        CHECK(xml_to_json(str_of(broken[i]), NULL) == NULL);
}
