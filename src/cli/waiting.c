/* SPDX-License-Identifier: MIT */
#include "cli/waiting.h"
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "cli/follow.h"

static const struct {
    const char *cause, *words;
} causes[] = {
    {"FAILED", "its deployment failed, so none are started until it is updated or rolled back"},
    {"START_FAILURES", "the last ones did not start"},
    {"CRASHES", "they exit soon after their start"},
    {"RUNTIME", "the container runtime lost the last ones"},
    {"AGENT", "the container agent has not reported yet what became of the others"},
    {"IMAGE", "the registry is asked for the digest of the image"},
    {"PLACEMENT", "no container instance takes one; they start as soon as one does"},
};

static void
add_time(struct strbuf *words, const struct json *wait)
{
    const int64_t at_ms = (int64_t)(json_f64(json_get(wait, "nextTryAt"), 0) * 1000);
    const int64_t in_ms = at_ms - clock_wall_ms();
    const time_t at_s = (time_t)(at_ms / 1000);
    char clock[16];
    struct tm tm;

    if (at_ms == 0)
        return;
    localtime_r(&at_s, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    if (in_ms > 0)
        strbuf_addf(words, "; tried again in %lld s, at %s", (long long)(in_ms + 999) / 1000, clock);
    else
        strbuf_add_cstr(words, "; tried again now");
    if (json_get_bool(wait, "endsWithContainerInstance", false))
        strbuf_add_cstr(words, ", or as soon as a container instance comes back");
}

char *
waiting_words(const struct json *wait)
{
    cleanup(strbuf_done) struct strbuf words = {0};
    const char *cause = json_get_cstr(wait, "cause", ""), *reason = json_get_cstr(wait, "reason", "");
    const long long missing = (long long)json_get_i64(wait, "missingCount", 0);

    strbuf_addf(&words, "%lld %s missing", missing, missing == 1 ? "task is" : "tasks are");
    for (size_t i = 0; i < ARRAY_COUNT(causes); i++) {
        if (strcmp(causes[i].cause, cause) == 0)
            strbuf_addf(&words, ": %s", causes[i].words);
    }
    add_time(&words, wait);
    if (reason[0] != '\0') {
        cleanup_free char *text = event_without_arns(reason);
        strbuf_addf(&words, " (%s)", text);
    }
    return text_dup(strbuf_cstr(&words));
}

/* ---- all services ---- */

static void
print_page(struct client *client, const char *cluster, const struct json *arns, FILE *to)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *include = json_array();

    json_append(include, json_text("WAIT"));
    json_set(input, "cluster", json_text(cluster));
    json_set(input, "services", json_ref(arns));
    json_set(input, "include", include);
    answer = client_call(client, "ecs", "DescribeServices", input, NULL);
    for (size_t i = 0; i < json_size(json_get(answer, "services")); i++) {
        const struct json *service = json_at(json_get(answer, "services"), i);
        const struct json *wait = json_get(service, "wait");
        cleanup_free char *words = wait == NULL ? NULL : waiting_words(wait);

        if (wait != NULL)
            fprintf(to, "%s: %s\n", json_get_cstr(service, "serviceName", ""), words);
    }
}

static void
print_cluster(struct client *client, const char *cluster, FILE *to)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "cluster", json_text(cluster));
    for (;;) {
        cleanup_json struct json *page = client_call(client, "ecs", "ListServices", input, NULL);
        const struct json *arns = json_get(page, "serviceArns");

        if (json_size(arns) > 0)
            print_page(client, cluster, arns, to);
        if (json_type(json_get(page, "nextToken")) != JSON_TEXT)
            return;
        json_set(input, "nextToken", json_ref(json_get(page, "nextToken")));
    }
}

void
waiting_print(struct client *client, FILE *to)
{
    cleanup_json struct json *clusters = clusters_list(client, NULL);

    for (size_t i = 0; i < json_size(clusters); i++)
        print_cluster(client, arn_tail(json_cstr(json_at(clusters, i), "")), to);
}
