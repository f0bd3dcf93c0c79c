/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>
#include "check.h"
#include "api/sigv4.h"
#include "base/clock.h"
#include "cli/aws_arguments.h"
#include "cli/client.h"
#include "cli/ec2_form.h"
#include "cli/docker.h"
#include "cli/own_image.h"
#include "cli/shorthand.h"
#include "cli/xml.h"
#include "io/http_server.h"

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
    CHECK_INPUT("ecs", "update-service", "{\"service\":\"my-service\",\"rollbackTo\":\"my-app:3\"}",
                "--service", "my-service", "--rollback-to", "my-app:3");
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

TEST(bytes_are_sent_as_base64)
{
    char path[] = "/tmp/naru-test-XXXXXX";
    const int fd = mkstemp(path);
    cleanup_free char *text = text_format("file://%s", path), *bytes = text_format("fileb://%s", path);
    const char *want = "{\"Certificate\":\"LS0tLS1CRUdJTg==\",\"PrivateKey\":\"a2V5\"}";

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "-----BEGIN", 10), 10);
    close(fd);
    CHECK_INPUT("acm", "import-certificate", want, "--certificate", text, "--private-key", "a2V5");
    CHECK_INPUT("acm", "import-certificate", want, "--certificate", bytes, "--private-key", "key");
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

/* "region repository tag", or "-". */
static void
check_own_image(const char *image, const char *want)
{
    const struct image_home home = {.account = "000000000000", .region = "ap-northeast-2", .registry_port = 4566};
    struct image_ref ref;
    cleanup_free char *got = !own_image_parse(image, &home, &ref)
                                 ? text_dup("-")
                                 : text_format("%s %s %s", ref.region, ref.repository, ref.tag);

    CHECK_TEXT(got, want);
}

TEST(images_that_have_to_be_here_are_told_apart)
{
    check_own_image("localhost:4566/shop/web:7", "ap-northeast-2 shop/web 7");
    check_own_image("127.0.0.1:4566/web", "ap-northeast-2 web latest");
    check_own_image("123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:7", "ap-northeast-2 web 7");
    check_own_image("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:7", "eu-west-1 web 7");
    check_own_image("localhost:4566/123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:7", "ap-northeast-2 web 7");
    check_own_image("localhost:4566/123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/web:7", "eu-west-1 a/web 7");
    check_own_image("mirror.dkr.ecr.ap-northeast-2.amazonaws.com/web:7", "-");
    check_own_image("localhost:5000/web:7", "-");
    check_own_image("localhost:45660/web:7", "-");
    check_own_image("localhost:4566/web@sha256:00", "-");
    check_own_image("busybox:1", "-");
    check_own_image("docker.io/library/busybox", "-");
    check_own_image("", "-");
    check_own_image("/", "-");
}

TEST(an_endpoint_names_its_port)
{
    static const struct {
        const char *url;
        unsigned port;
    } rows[] = {
        {"http://localhost:4600", 4600}, {"https://[::1]:4600/naru", 4600}, {"https://naru.example", 0},
        {"http://[::1]", 0},             {"http://h/a:1", 0},               {"http://h:70000", 0},
        {"http://h:46x", 0},             {"http://h:0", 0},                 {"http://", 0},
        {"localhost:4566", 4566},        {"", 0},                           {"4566", 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CHECK_EQ(client_endpoint_port(rows[i].url), rows[i].port);
}

TEST(ecr_hosts_become_this_machine)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:latest",
         "localhost:4600/my-app:latest"},
        {"--build-arg=BASE=000000000000.dkr.ecr.us-east-1.amazonaws.com/base:1",
         "--build-arg=BASE=localhost:4600/210987654321.dkr.ecr.us-east-1.amazonaws.com/base:1"},
        {"000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/x",
         "localhost:4600/210987654321.dkr.ecr.cn-north-1.amazonaws.com/x"},
        {"https://000000000000.dkr.ecr.eu-west-1.amazonaws.com", "https://localhost:4600"},
        {"000000000000.dkr.ecr.eu-west-1.amazonaws.com/", "localhost:4600/"},
        {"type=registry,ref=000000000000.dkr.ecr.ap-northeast-2.amazonaws.com/a,mode=max", "type=registry,ref=localhost:4600/a,mode=max"},
        {"localhost:4600/123456789012.dkr.ecr.eu-west-1.amazonaws.com/x", NULL},
        {"1123456789012.dkr.ecr.us-east-1.amazonaws.com/x", NULL},
        {"12345678901.dkr.ecr.us-east-1.amazonaws.com/x", NULL},
        {"my-app:latest", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup(strbuf_done) struct strbuf out = {0};
        const struct image_home home = {.account = "210987654321", .region = "ap-northeast-2", .registry_port = 4600};
        const bool found = docker_rewrite(rows[i].in, &home, &out);

        CHECK_EQ(found, rows[i].out != NULL);
        CHECK_TEXT(strbuf_cstr(&out), found ? rows[i].out : rows[i].in);
    }
}

/* ---- signatures: the server's arithmetic on what it got ---- */

struct gatherer {
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    size_t count;
};

static void
gather(void *arg, struct str name, struct str value)
{
    struct gatherer *g = arg;

    g->headers[g->count++] = (struct sigv4_header){name, value};
}

static void
verify_end(struct http_exchange *x, void *ctx)
{
    struct gatherer g = {.count = 0};
    struct sigv4_request rq = {
        .method = x->method, .path = x->path, .query = x->query, .body = x->body};
    struct sigv4_authorization auth;
    struct err err = {0};

    (void)ctx;
    http_header_each(x, gather, &g);
    rq.headers = g.headers;
    rq.header_count = g.count;
    if (sigv4_verify(&rq, "AKIDEXAMPLE", "secret/of+it", "", clock_wall_ms(), &auth, &err) &&
        sigv4_check_service(&auth, "naru", &err))
        http_reply(x, 200, NULL, auth.signed_headers);
    else
        http_reply(x, 403, NULL, str_of(arena_format(&x->arena, "%s", err.message)));
}

TEST(what_is_sent_is_what_was_signed)
{
    static const char *const paths[] = {"/", "/naru/builds?a=1&pipeline=my%20app",
                                        "/naru/builds/my%20app/1/log",
                                        "/naru/builds/a%2Fb%23/1?offset=0"};
    const struct http_route route = {.prefix = "/", .end = verify_end};
    struct err err = {0};
    struct http_server *server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    struct client_config config = {.access_key_id = "AKIDEXAMPLE",
                                   .secret_access_key = "secret/of+it",
                                   .region = "eu-west-1",
                                   .has_keys = true};

    CHECK(server != NULL);
    snprintf(config.endpoint_url, sizeof(config.endpoint_url), "http://127.0.0.1:%u",
             http_server_port(server));
    for (int with_token = 0; with_token < 2; with_token++) {
        struct client *client = client_new(&config);

        for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
            cleanup(strbuf_done) struct strbuf text = {0};

            err = (struct err){0};
            CHECK_EQ(client_http_text(client, paths[i], &text, &err), with_token == 0);
            if (with_token == 0)
                CHECK_TEXT(strbuf_cstr(&text), "host;x-amz-date");
            else /* the keys of this server are never temporary: it saw that header */
                CHECK(strstr(err.message, "security token") != NULL);
        }
        client_free(client);
        snprintf(config.session_token, sizeof(config.session_token), "of-a-session");
    }
    http_server_stop(server);
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

TEST(ec2_has_a_form_of_its_own)
{
    cleanup_json struct json *input = json_parse(
        STR("{\"GroupIds\":[\"sg-1\",\"sg-2\"],\"DryRun\":false,\"Filters\":[{\"Name\":\"vpc-id\","
            "\"Values\":[\"vpc 1\"]}]}"),
        NULL);
    const struct aws_operation *operation =
        operation_named(service_find("ec2"), "DescribeSecurityGroups");
    cleanup(strbuf_done) struct strbuf out = {0};

    ec2_encode(&out, operation, "2016-11-15", input);
    CHECK_TEXT(strbuf_cstr(&out), "Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1=sg-1&GroupId.2=sg-2&"
                                  "DryRun=false&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc%201");
}

TEST(ec2_answers_get_the_names_of_the_model)
{
    struct err err = {0};
    cleanup_json struct json *value = xml_to_json(
        STR("<DescribeVpcsResponse xmlns=\"x\"><requestId>id</requestId><vpcSet><item><vpcId>vpc-1</vpcId>"
            "<isDefault>true</isDefault><tagSet/></item></vpcSet><securityGroupInfo><item>"
            "<groupDescription>d</groupDescription><ipPermissions><item><fromPort>80</fromPort><groups/>"
            "</item></ipPermissions></item></securityGroupInfo></DescribeVpcsResponse>"),
        &err);
    cleanup_json struct json *named = ec2_named(value);
    cleanup_free char *text = json_format(named);

    CHECK_TEXT(text, "{\"Vpcs\":[{\"VpcId\":\"vpc-1\",\"IsDefault\":true,\"Tags\":[]}],\"SecurityGroups\":"
                     "[{\"Description\":\"d\",\"IpPermissions\":[{\"FromPort\":80,\"UserIdGroupPairs\":[]}]}]}");
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
