/* SPDX-License-Identifier: MIT */
/* What the client says again when its naru was killed while it answered; and what it takes from one that answers. */
#include "cli/local.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "io/http_server.h"

/* Hangs up on the first request when it has heard all of it, and answers the second. */
struct naru {
    int listener;
    pthread_t thread;
    char heard[2][4096];
    int count;
};

static void
hear(int fd, char out[static 4096])
{
    size_t len = 0;

    for (out[0] = '\0'; strstr(out, "\r\n\r\n{") == NULL || out[len - 1] != '}';) {
        const ssize_t n = read(fd, out + len, 4095 - len);
        if (n <= 0)
            return;
        out[len += (size_t)n] = '\0';
    }
}

static void *
serve(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"service\":{}}";
    struct naru *n = arg;

    for (; n->count < 2; n->count++) {
        const int fd = accept(n->listener, NULL, NULL);
        if (fd < 0)
            break;
        hear(fd, n->heard[n->count]);
        if (n->count == 1)
            (void)!write(fd, answer, sizeof(answer) - 1);
        close(fd);
    }
    return NULL;
}

static void
naru_start(struct naru *n)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    cleanup_free char *url = NULL;

    *n = (struct naru){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(bind(n->listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(n->listener, 4) == 0);
    CHECK(getsockname(n->listener, (struct sockaddr *)&at, &size) == 0);
    url = text_format("http://127.0.0.1:%u", ntohs(at.sin_port));
    CHECK(setenv("AWS_ENDPOINT_URL", url, 1) == 0);
    CHECK(setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE", 1) == 0);
    CHECK(setenv("AWS_SECRET_ACCESS_KEY", "secret", 1) == 0);
    CHECK(pthread_create(&n->thread, NULL, serve, n) == 0);
}

/* How many requests came. */
static int
naru_stop(struct naru *n)
{
    (void)shutdown(n->listener, SHUT_RDWR);
    CHECK(pthread_join(n->thread, NULL) == 0);
    close(n->listener);
    return n->count;
}

static bool
call(const char *operation, struct err *err)
{
    struct client_config config;
    cleanup_json struct json *input = json_parse(STR("{\"service\":\"s\"}"), NULL);

    CHECK(client_config_load(&config, "/nonexistent", err));
    cleanup(client_free_) struct client *client = client_new(&config);
    cleanup_json struct json *answer = client_call(client, "ecs", operation, input, err);
    return answer != NULL;
}

static void
invocation_of(const char *heard, char out[static 64])
{
    const char *at = strstr(heard, "amz-sdk-invocation-id: ");

    CHECK(at != NULL);
    CHECK(text_copy(out, 64, str_slice(str_of(at), strlen("amz-sdk-invocation-id: "), 59)));
}

TEST(a_build_says_an_update_again_whose_answer_was_cut_off_as_the_same_invocation)
{
    struct naru naru;
    char first[64], second[64];
    struct err err;

    CHECK(setenv("JENKINS_NODE_COOKIE", "cookie", 1) == 0);
    naru_start(&naru);
    CHECK(call("UpdateService", &err));
    CHECK_EQ(naru_stop(&naru), 2);
    invocation_of(naru.heard[0], first);
    invocation_of(naru.heard[1], second);
    CHECK_EQ(strlen(first), 36);
    CHECK_TEXT(first, second);
}

TEST(a_build_asks_again_and_does_nothing_twice)
{
    struct naru naru;
    struct err err;

    CHECK(setenv("JENKINS_NODE_COOKIE", "cookie", 1) == 0);
    naru_start(&naru);
    CHECK(call("ListServices", &err));
    CHECK_EQ(naru_stop(&naru), 2);
    naru_start(&naru);
    CHECK(!call("RunTask", &err));
    CHECK_EQ(naru_stop(&naru), 1);
    CHECK(strstr(err.message, "Could not connect to the endpoint URL") != NULL);
}

TEST(outside_of_a_build_nothing_is_said_again)
{
    struct naru naru;
    struct err err;

    CHECK(unsetenv("JENKINS_NODE_COOKIE") == 0);
    naru_start(&naru);
    CHECK(!call("UpdateService", &err));
    CHECK_EQ(naru_stop(&naru), 1);
}

/* ---- what a naru says of itself ---- */

struct health {
    const char *text;
};

static void
answer_health(struct http_exchange *x, void *ctx)
{
    const struct health *h = ctx;

    http_reply(x, 200, NULL, str_of(h->text));
}

TEST(what_a_naru_does_not_say_leaves_what_is_known)
{
    struct health health = {"{\"version\":\"1\"}"};
    const struct http_route route = {.prefix = "/healthz", .end = answer_health, .ctx = &health};
    struct client_config config = {0};
    char region[64] = "eu-west-1";
    struct err err = {0};
    struct http_server *server = http_server_start("127.0.0.1", 0, &route, 1, &err);

    CHECK(server != NULL);
    (void)snprintf(config.endpoint_url, sizeof(config.endpoint_url), "http://127.0.0.1:%u", http_server_port(server));
    CHECK(!local_server_says(&config, "region", region, sizeof(region))); /* as versions before did */
    CHECK_TEXT(region, "eu-west-1");
    health.text = "{\"region\":\"us-east-1\"}";
    CHECK(local_server_says(&config, "region", region, sizeof(region)));
    CHECK_TEXT(region, "us-east-1");
    http_server_stop(server);
}

TEST(what_is_started_here_has_the_environment_of_a_builds_step)
{
    static const char *const names[] = {"AWS_DEFAULT_REGION", "AWS_ACCOUNT_ID", "ECR_REGISTRY", "NARU_REGION",
                                        "NARU_DATA_DIR",      "AWS_PAGER",      "AWS_SECRET_ACCESS_KEY"};
    struct client_config config = {.endpoint_url = "http://localhost:4600",
                                   .access_key_id = "AKID",
                                   .secret_access_key = "secret",
                                   .account = "210987654321",
                                   .region = "eu-west-1"};
    cleanup_free char *here = getcwd(NULL, 0);

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        unsetenv(names[i]);
    setenv("AWS_REGION", "us-west-2", 1);
    local_give_environment(&config, NULL, false);
    CHECK_TEXT(getenv("AWS_REGION"), "us-west-2");
    CHECK_TEXT(getenv("AWS_DEFAULT_REGION"), "eu-west-1");
    CHECK_TEXT(getenv("ECR_REGISTRY"), "210987654321.dkr.ecr.eu-west-1.amazonaws.com");
    CHECK_TEXT(getenv("AWS_PAGER"), "");
    CHECK(getenv("NARU_REGION") == NULL && getenv("NARU_DATA_DIR") == NULL);
    text_copy_all(config.home_region, sizeof(config.home_region), "ap-northeast-2");
    local_give_environment(&config, "/data", true);
    CHECK_TEXT(getenv("AWS_REGION"), "eu-west-1");
    CHECK_TEXT(getenv("ECR_REGISTRY"), "210987654321.dkr.ecr.ap-northeast-2.amazonaws.com");
    CHECK_TEXT(getenv("NARU_REGION"), "ap-northeast-2");
    CHECK_TEXT(getenv("NARU_DATA_DIR"), "/data");
    local_give_environment(&config, ".", false); /* steps work elsewhere, and this one was said */
    CHECK_TEXT(getenv("NARU_DATA_DIR"), here);
    CHECK_TEXT(getenv("AWS_SECRET_ACCESS_KEY"), "secret");
}
