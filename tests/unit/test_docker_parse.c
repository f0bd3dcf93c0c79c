/* SPDX-License-Identifier: MIT */
/* Docker's answers, streams and logs: the good, the cut and the garbage. */
#include <stdio.h>
#include "agent/docker.h"
#include "agent/docker_stream.h"
#include "agent/log_frames.h"
#include "check.h"

static struct json *
parse(const char *text)
{
    struct err err = {0};
    struct json *j = json_parse(str_of(text), &err);

    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return j;
}

TEST(an_inspection_becomes_a_state)
{
    cleanup_json struct json *j = parse(
        "{\"Id\":\"abc\",\"Name\":\"/ecs-web\",\"Image\":\"sha256:1\",\"State\":{\"Status\":\"exited\",\"Running\":false,\"OOMKilled\":true,"
        "\"ExitCode\":137,\"Error\":\"\",\"StartedAt\":\"2026-01-02T03:04:05.678Z\",\"Health\":{\"Status\":\"healthy\"}},"
        "\"Config\":{\"Tty\":true,\"StopSignal\":\"SIGQUIT\",\"Labels\":{\"naru.task\":\"t1\",\"naru.installation\":\"i1\"}},"
        "\"NetworkSettings\":{\"Ports\":{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"32768\"},{\"HostIp\":\"::\",\"HostPort\":\"32770\"}],"
        "\"53/udp\":[{\"HostPort\":\"53\"}],\"81/tcp\":null,\"x/tcp\":[{\"HostPort\":\"1\"}],\"82/tcp\":[{\"HostPort\":\"99999\"}]},"
        "\"Networks\":{\"naru-1\":{\"IPAddress\":\"10.0.0.2\",\"MacAddress\":\"02:42\"}}}}");
    struct docker_state s;
    struct err err = {0};

    CHECK(docker_parse_state(j, "naru-1", NULL, &s, &err));
    CHECK_TEXT(s.id, "abc");
    CHECK_TEXT(s.name, "ecs-web");
    CHECK_TEXT(s.task, "t1");
    CHECK_TEXT(s.installation, "i1");
    CHECK(s.has_ended && !s.is_running && s.was_oom_killed && s.has_tty);
    CHECK_EQ(s.exit_code, 137);
    CHECK_TEXT(s.stop_signal, "SIGQUIT");
    CHECK_EQ(s.health, HEALTH_HEALTHY);
    CHECK_EQ(s.started_at_ms, 1767323045678);
    CHECK_EQ(s.binding_count, 2); /* IPv4 speaks for both families; what is no port is none */
    CHECK(s.bindings[0].container_port == 80 && s.bindings[0].host_port == 32768 && !s.bindings[0].is_udp);
    CHECK(s.bindings[1].is_udp);
    CHECK_TEXT(s.address, "10.0.0.2");
    CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
    CHECK_TEXT(s.address, "");
}

TEST(the_ports_of_a_range_are_one_binding)
{
    cleanup_json struct json *j = parse(
        "{\"Id\":\"abc\",\"State\":{},\"NetworkSettings\":{\"Ports\":{"
        "\"10000/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"40002\"}],\"10001/tcp\":[{\"HostPort\":\"40003\"}],"
        "\"9998/tcp\":[{\"HostPort\":\"40000\"}],\"9999/tcp\":[{\"HostPort\":\"40001\"}],"
        "\"9999/udp\":[{\"HostPort\":\"7\"}],\"10002/tcp\":[{\"HostPort\":\"40004\"}],"
        "\"5000/udp\":[{\"HostPort\":\"65535\"}],\"5001/udp\":[{\"HostPort\":\"65534\"}]}}}");
    cleanup_json struct json *mappings =
        parse("[{\"containerPortRange\":\"9998-10001\",\"protocol\":\"tcp\"},{\"containerPort\":10002},"
              "{\"containerPortRange\":\"5000-5001\",\"protocol\":\"udp\"}]");
    struct docker_state s;
    struct err err = {0};

    CHECK(docker_parse_state(j, NULL, mappings, &s, &err));
    CHECK_EQ(s.binding_count, 3); /* what is no row was not made by us */
    CHECK(s.bindings[0].container_port == 9998 && s.bindings[0].host_port == 40000 && s.bindings[0].range_len == 4);
    CHECK(s.bindings[1].container_port == 9999 && s.bindings[1].is_udp && s.bindings[1].range_len == 0);
    CHECK(s.bindings[2].container_port == 10002 && s.bindings[2].host_port == 40004 && s.bindings[2].range_len == 0);
    CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
    CHECK_EQ(s.binding_count, 8);
}

TEST(a_container_that_never_started_has_neither_run_nor_ended)
{
    cleanup_json struct json *j = parse("{\"Id\":\"abc\",\"State\":{\"Status\":\"created\",\"StartedAt\":\"0001-01-01T00:00:00Z\",\"Error\":\"boom\"}}");
    struct docker_state s;
    struct err err = {0};

    CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
    CHECK(!s.has_ended && !s.is_running);
    CHECK_EQ(s.started_at_ms, 0);
    CHECK_TEXT(s.error, "boom");
    CHECK_TEXT(s.stop_signal, "SIGTERM");
    cleanup_json struct json *none = parse("{\"message\":\"x\"}"), *list = parse("[]");
    CHECK(!docker_parse_state(none, NULL, NULL, &s, &err));
    CHECK(!docker_parse_state(list, NULL, NULL, &s, &err));
}

static struct docker_event
event(const char *text)
{
    struct docker_event e;
    struct err err = {0};

    if (!docker_parse_event(str_of(text), &e, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return e;
}

TEST(events)
{
    struct docker_event e = event("{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\",\"Attributes\":{\"exitCode\":\"3\",\"naru.task\":\"t1\"}}}");
    CHECK_EQ(e.type, DOCKER_DIE);
    CHECK_EQ(e.exit_code, 3);
    CHECK_TEXT(e.id, "c1");
    CHECK_TEXT(e.task, "t1");
    e = event("{\"Type\":\"container\",\"Action\":\"health_status: unhealthy\",\"Actor\":{\"ID\":\"c1\"}}");
    CHECK(e.type == DOCKER_HEALTH && e.health == HEALTH_UNHEALTHY);
    CHECK_EQ(event("{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"c\"}}").type, DOCKER_START);
    CHECK_EQ(event("{\"Type\":\"container\",\"Action\":\"oom\",\"Actor\":{\"ID\":\"c\"}}").type, DOCKER_OOM);
    CHECK_EQ(event("{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"c\"}}").type, DOCKER_DESTROY);
    CHECK_EQ(event("{\"Type\":\"container\",\"Action\":\"exec_start: sh\",\"Actor\":{\"ID\":\"c\"}}").type, DOCKER_OTHER);
    CHECK_EQ(event("{\"Type\":\"image\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c\"}}").type, DOCKER_OTHER);
    CHECK_EQ(event("[]").type, DOCKER_OTHER);
    struct err err = {0};
    CHECK(!docker_parse_event(STR("{\"Type\":"), &e, &err));
}

static void
collect(void *arg, struct str line)
{
    strbuf_add(arg, line);
    strbuf_add_char(arg, '|');
}

TEST(lines_come_whole_however_the_bytes_come)
{
    const char text[] = "one\ntwo\r\n\nthree\nrest";
    for (size_t step = 1; step < sizeof(text); step++) {
        cleanup(docker_lines_done) struct docker_lines l = {0};
        cleanup(strbuf_done) struct strbuf got = {0};
        const struct str all = str_of(text);
        for (size_t i = 0; i < all.len; i += step)
            docker_lines_feed(&l, str_slice(all, i, i + step), collect, &got);
        CHECK_TEXT(strbuf_cstr(&got), "one|two|three|");
    }
}

TEST(a_line_without_end_does_not_fill_the_memory)
{
    cleanup(docker_lines_done) struct docker_lines l = {0};
    cleanup(strbuf_done) struct strbuf got = {0};
    char block[4096];

    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 1000; i++)
        docker_lines_feed(&l, (struct str){block, sizeof(block)}, collect, &got);
    CHECK(l.partial.len <= DOCKER_LINE_MAX && l.was_cut);
    docker_lines_feed(&l, STR("\nnext\n"), collect, &got);
    CHECK_TEXT(strbuf_cstr(&got), "next|");
}

TEST(a_pull_tells_its_error_inside_a_good_answer)
{
    cleanup(docker_pull_done) struct docker_pull p = {0}, ok = {0}, cut = {0};

    docker_pull_feed(&p, STR("{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"x\"}\r\n"));
    CHECK(p.has_error && !p.is_done);
    CHECK_TEXT(p.error, "manifest unknown");
    cleanup(docker_pull_done) struct docker_pull refused = {0};
    docker_pull_feed(&refused, STR("{\"message\":\"manifest unknown\"}\n")); /* the body of a 404 */
    CHECK_TEXT(refused.error, "manifest unknown");
    docker_pull_feed(&ok, STR("{\"status\":\"Status: Image is up to date for x\"}\r\n"));
    CHECK(!ok.has_error && ok.is_done);
    docker_pull_feed(&cut, STR("{\"status\":\"Downloading\",\"id\":\"a\"}\r\n{\"sta"));
    CHECK(!cut.has_error && !cut.is_done);
}

TEST(error_texts_are_one_line)
{
    char out[64];

    docker_parse_message(STR("{\"message\":\"no\\nsuch\"}"), out, sizeof(out));
    CHECK_TEXT(out, "no such");
    docker_parse_message(STR("404 page\n"), out, sizeof(out));
    CHECK_TEXT(out, "404 page");
    docker_parse_message(STR(""), out, sizeof(out));
    CHECK_TEXT(out, "");
}

TEST(heads_of_streams)
{
    int status = 0;

    CHECK_EQ(docker_stream_parse_head(STR("HTTP/1.0 200 OK\r\nA: b\r\n\r\nrest"), &status), 25);
    CHECK_EQ(status, 200);
    CHECK_EQ(docker_stream_parse_head(STR("HTTP/1.0 200 OK\r\n"), &status), 0);
    CHECK_EQ(docker_stream_parse_head(STR("SSH-2.0 x\r\n\r\n"), &status), -1);
    CHECK_EQ(docker_stream_parse_head(STR("HTTP/1.0 -1 OK\r\n\r\n"), &status), -1);
    cleanup(strbuf_done) struct strbuf big = {0};
    while (big.len <= STREAM_HEAD_MAX)
        strbuf_add_cstr(&big, "HTTP/1.1 200 ");
    CHECK_EQ(docker_stream_parse_head(strbuf_str(&big), &status), -1);
}

static void
collect_message(void *arg, bool is_error, struct str message)
{
    strbuf_add_cstr(arg, is_error ? "E:" : "O:");
    collect(arg, message);
}

TEST(log_frames_come_whole_however_the_bytes_come)
{
    const struct str all = STR("\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\2de\1\0\0\0\0\0\0\0");
    for (size_t step = 1; step <= all.len; step++) {
        cleanup(log_frames_done) struct log_frames f = {0};
        cleanup(strbuf_done) struct strbuf got = {0};
        for (size_t i = 0; i < all.len; i += step)
            log_frames_feed(&f, str_slice(all, i, i + step), collect_message, &got);
        CHECK_TEXT(strbuf_cstr(&got), "O:abc|E:de|O:|");
        CHECK(!f.is_broken);
    }
    cleanup(log_frames_done) struct log_frames bad = {0}, huge = {0}, tty = {.has_tty = true};
    cleanup(strbuf_done) struct strbuf got = {0};
    log_frames_feed(&bad, STR("plain text, no frames"), collect_message, &got);
    CHECK(bad.is_broken && got.len == 0);
    log_frames_feed(&huge, STR("\1\0\0\0\x7f\0\0\0"), collect_message, &got);
    CHECK(huge.is_broken);
    log_frames_feed(&tty, STR("a\r\nb"), collect_message, &got);
    CHECK_TEXT(strbuf_cstr(&got), "O:a\r|");
}

TEST(log_times)
{
    char time[LOG_TIME_SIZE], since[LOG_TIME_SIZE];
    struct str m = STR("2026-01-02T03:04:05.678901234Z hello you");

    CHECK(log_take_time(&m, time));
    CHECK_TEXT(time, "2026-01-02T03:04:05.678901234Z");
    CHECK(str_is(m, "hello you"));
    CHECK(!log_take_time(&m, time));
    log_since(time, since);
    CHECK_TEXT(since, "1767323045.678901234");
    log_since("nonsense", since);
    CHECK_TEXT(since, "");
    m = STR("2026-01-02T03:04:05.678901234Z");
    CHECK(log_take_time(&m, time));
    CHECK_EQ(m.len, 0);
}

TEST(paths_are_encoded)
{
    cleanup(strbuf_done) struct strbuf events = {0}, logs = {0}, auth = {0};

    docker_path_events(41, "naru.installation=a&b", &events);
    CHECK(str_starts(strbuf_str(&events), STR("/v1.41/events?filters=%7B%22label%22")));
    CHECK(strchr(strbuf_cstr(&events), '&') == NULL);
    docker_path_logs(43, "abc", "1.5", &logs);
    CHECK_TEXT(strbuf_cstr(&logs), "/v1.43/containers/abc/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=1.5");
    docker_auth("AWS", "p", "localhost:1", &auth);
    CHECK(strpbrk(strbuf_cstr(&auth), "+/") == NULL && auth.len > 40);
}

TEST(the_output_of_health_checks_is_kept_newest_first)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char output[5001];
    struct docker_state s;
    struct err err = {0};

    memset(output, 'x', sizeof(output));
    output[sizeof(output) - 1] = '\0';
    strbuf_add_cstr(&text, "{\"Id\":\"abc\",\"State\":{\"Status\":\"running\",\"Health\":{\"Status\":"
                           "\"unhealthy\",\"Log\":[");
    strbuf_add_cstr(&text, "{\"End\":\"2026-01-02T03:04:05.678Z\",\"ExitCode\":1,\"Output\":\"refused\\n\"},"
                           "{\"End\":\"2026-01-02T03:04:15.678Z\",\"ExitCode\":-1,\"Output\":\"\"}]}}}");
    {
        cleanup_json struct json *j = parse(strbuf_cstr(&text));
        CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
        CHECK_TEXT(s.health_log, "2026-01-02T03:04:15Z exit -1\n2026-01-02T03:04:05Z exit 1: refused\n");
    }
    strbuf_clear(&text);
    strbuf_addf(&text, "{\"Id\":\"abc\",\"State\":{\"Health\":{\"Log\":[{\"End\":\"never\",\"ExitCode\":2,"
                       "\"Output\":\"%s\"}]}}}", output);
    {
        cleanup_json struct json *j = parse(strbuf_cstr(&text));
        CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
        CHECK_EQ(strlen(s.health_log), sizeof(s.health_log) - 1); /* cut */
    }
    {
        cleanup_json struct json *j = parse("{\"Id\":\"abc\",\"State\":{}}");
        CHECK(docker_parse_state(j, NULL, NULL, &s, &err));
        CHECK_TEXT(s.health_log, "");
    }
}
