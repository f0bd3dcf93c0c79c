/* SPDX-License-Identifier: MIT */
#include "cli/aws_wait.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "cli/jmespath.h"

#define POLL_MS 500

enum matcher { MATCH_PATH, MATCH_ANY, MATCH_ALL, MATCH_ERROR };
enum verdict { VERDICT_RETRY, VERDICT_SUCCESS, VERDICT_FAILURE };

struct acceptor {
    enum verdict verdict;
    enum matcher matcher;
    const char *path;
    const char *expected; /* a text, or "true" for MATCH_PATH; the error's code for MATCH_ERROR */
};

struct aws_waiter {
    const char *service, *name, *title, *operation;
    int64_t limit_ms;
    struct acceptor acceptors[6]; /* the first that matches decides; ends with a NULL `expected` */
};

static const struct aws_waiter waiters[] = {
    {"ecs",
     "services-stable",
     "ServicesStable",
     "DescribeServices",
     600000,
     {{VERDICT_FAILURE, MATCH_ANY, "failures[].reason", "MISSING"},
      {VERDICT_FAILURE, MATCH_ANY, "services[].status", "DRAINING"},
      {VERDICT_FAILURE, MATCH_ANY, "services[].status", "INACTIVE"},
      {VERDICT_SUCCESS, MATCH_PATH,
       "length(services[?!(length(deployments) == `1` && runningCount == desiredCount)]) == `0`",
       "true"}}},
    {"ecs",
     "services-inactive",
     "ServicesInactive",
     "DescribeServices",
     600000,
     {{VERDICT_FAILURE, MATCH_ANY, "failures[].reason", "MISSING"},
      {VERDICT_SUCCESS, MATCH_ANY, "services[].status", "INACTIVE"}}},
    {"ecs",
     "tasks-running",
     "TasksRunning",
     "DescribeTasks",
     600000,
     {{VERDICT_FAILURE, MATCH_ANY, "tasks[].lastStatus", "STOPPED"},
      {VERDICT_FAILURE, MATCH_ANY, "failures[].reason", "MISSING"},
      {VERDICT_SUCCESS, MATCH_ALL, "tasks[].lastStatus", "RUNNING"}}},
    {"ecs",
     "tasks-stopped",
     "TasksStopped",
     "DescribeTasks",
     600000,
     {{VERDICT_SUCCESS, MATCH_ALL, "tasks[].lastStatus", "STOPPED"}}},
    {"elbv2",
     "load-balancer-available",
     "LoadBalancerAvailable",
     "DescribeLoadBalancers",
     600000,
     {{VERDICT_SUCCESS, MATCH_ALL, "LoadBalancers[].State.Code", "active"},
      {VERDICT_RETRY, MATCH_ANY, "LoadBalancers[].State.Code", "provisioning"},
      {VERDICT_RETRY, MATCH_ERROR, NULL, "LoadBalancerNotFound"}}},
    {"elbv2",
     "load-balancer-exists",
     "LoadBalancerExists",
     "DescribeLoadBalancers",
     600000,
     {{VERDICT_SUCCESS, MATCH_PATH, "length(LoadBalancers) >= `0`", "true"},
      {VERDICT_RETRY, MATCH_ERROR, NULL, "LoadBalancerNotFound"}}},
    {"elbv2",
     "load-balancers-deleted",
     "LoadBalancersDeleted",
     "DescribeLoadBalancers",
     600000,
     {{VERDICT_RETRY, MATCH_ALL, "LoadBalancers[].State.Code", "active"},
      {VERDICT_SUCCESS, MATCH_ERROR, NULL, "LoadBalancerNotFound"}}},
    {"elbv2",
     "target-in-service",
     "TargetInService",
     "DescribeTargetHealth",
     600000,
     {{VERDICT_SUCCESS, MATCH_ALL, "TargetHealthDescriptions[].TargetHealth.State", "healthy"},
      {VERDICT_RETRY, MATCH_ERROR, NULL, "InvalidInstance"}}},
    {"elbv2",
     "target-deregistered",
     "TargetDeregistered",
     "DescribeTargetHealth",
     600000,
     {{VERDICT_SUCCESS, MATCH_ERROR, NULL, "InvalidTarget"},
      {VERDICT_SUCCESS, MATCH_ALL, "TargetHealthDescriptions[].TargetHealth.State", "unused"}}},
};

const struct aws_waiter *
aws_waiter_find(const char *service, const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++)
        if (strcmp(waiters[i].service, service) == 0 && strcmp(waiters[i].name, name) == 0)
            return &waiters[i];
    return NULL;
}

const char *
aws_waiter_operation(const struct aws_waiter *waiter)
{
    return waiter->operation;
}

void
aws_waiter_list(const char *service, struct strbuf *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(waiters); i++)
        if (strcmp(waiters[i].service, service) == 0)
            strbuf_addf(out, "%s%s", out->len > 0 ? ", " : "", waiters[i].name);
}

/* `All` of nothing is not a match: an empty answer proves nothing. */
static bool
acceptor_matches(const struct acceptor *a, const struct client_answer *answer)
{
    cleanup_json struct json *found = NULL;
    size_t matching = 0;

    if (a->matcher == MATCH_ERROR)
        return strcmp(answer->code, a->expected) == 0;
    if (answer->code[0] != '\0')
        return false;
    found = jmespath_search(a->path, answer->body, NULL);
    if (a->matcher == MATCH_PATH)
        return json_type(found) == JSON_BOOL && json_truth(found, false);
    if (json_type(found) != JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json_size(found); i++)
        matching += strcmp(json_cstr(json_at(found, i), ""), a->expected) == 0;
    return a->matcher == MATCH_ANY ? matching > 0 : matching > 0 && matching == json_size(found);
}

static int
fail(const struct aws_waiter *w, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "\nWaiter %s failed: ", w->title);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return 255;
}

int
aws_wait(struct client *client, const struct aws_service *service, const struct aws_waiter *waiter,
         const struct json *input)
{
    const int64_t end_ms = clock_monotonic_ms() + waiter->limit_ms;

    for (;;) {
        cleanup(client_answer_done) struct client_answer answer = {0};
        const struct acceptor *a = waiter->acceptors;
        struct err err = {0};

        if (!client_send(client, service, waiter->operation, input, &answer, &err)) {
            fprintf(stderr, "\n%s\n", err.message);
            return 255;
        }
        while (a->expected != NULL && !acceptor_matches(a, &answer))
            a++;
        if (a->expected != NULL && a->verdict == VERDICT_SUCCESS)
            return 0;
        if (a->expected != NULL && a->verdict == VERDICT_FAILURE)
            return fail(waiter,
                        "Waiter encountered a terminal failure state: For expression \"%s\" we "
                        "matched expected path: \"%s\"%s",
                        a->path, a->expected, a->matcher == MATCH_ANY ? " at least once" : "");
        if (a->expected == NULL && answer.code[0] != '\0')
            return fail(waiter, "An error occurred (%s): %s", answer.code, answer.message);
        if (clock_monotonic_ms() + POLL_MS > end_ms)
            return fail(waiter, "Max attempts exceeded");
        clock_sleep_ms(POLL_MS);
    }
}
