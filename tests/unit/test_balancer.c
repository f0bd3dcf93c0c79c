/* SPDX-License-Identifier: MIT */
/* The pure parts of the balancer: slots, configuration text, HAProxy's answers, HTTP heads. */
#include "balancer/haproxy_config.h"
#include "balancer/haproxy_socket.h"
#include "balancer/http_head.h"
#include "balancer/slots.h"
#include "base/json.h"
#include "config_setup.h"

/* ---- slots ---- */

TEST(slots_grow_by_doubling_and_never_shrink)
{
    cleanup(slots_done) struct slots s = {0};

    CHECK(slots_reserve(&s, 1));
    CHECK_EQ(s.count, 16);
    CHECK(!slots_reserve(&s, 16));
    CHECK(slots_reserve(&s, 17));
    CHECK_EQ(s.count, 32);
    CHECK(slots_reserve(&s, 100));
    CHECK_EQ(s.count, 128);
    CHECK(!slots_reserve(&s, 3));
    CHECK_EQ(s.count, 128);
    CHECK(slots_reserve(&s, 1 << 20));
    CHECK_EQ(s.count, SLOTS_MAX);
}

TEST(a_slot_is_free_only_after_its_target_has_left)
{
    cleanup(slots_done) struct slots s = {0};

    slots_reserve(&s, 1);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(slots_take(&s, "10.0.0.1", 8000 + i), i);
    CHECK_EQ(slots_take(&s, "10.0.0.1", 8015), 15); /* it is there already */
    CHECK_EQ(slots_take(&s, "10.0.0.2", 8015), -1); /* full */
    slots_leave(&s, 3);
    CHECK_EQ(slots_count(&s, SLOT_LEAVING), 1);
    CHECK_EQ(slots_take(&s, "10.0.0.2", 80), -1);  /* requests may still run on it */
    CHECK_EQ(slots_take(&s, "10.0.0.1", 8003), 3); /* but the same target may come back */
    CHECK_EQ(slots_count(&s, SLOT_LEAVING), 0);
    slots_leave(&s, 3);
    slots_free(&s, 3);
    CHECK_EQ(slots_find(&s, "10.0.0.1", 8003), -1);
    CHECK_EQ(slots_take(&s, "10.0.0.2", 80), 3);
    CHECK_TEXT(s.at[3].address, "10.0.0.2");
    CHECK(!s.at[3].wants_ready);
}

TEST(a_loaded_configuration_is_what_haproxy_has)
{
    cleanup(slots_done) struct slots s = {0};

    slots_reserve(&s, 1);
    slots_take(&s, "10.0.0.1", 80);
    s.at[0].wants_ready = true;
    CHECK(!s.at[0].has_ready);
    slots_loaded(&s);
    CHECK(s.at[0].has_ready);
    CHECK_TEXT(s.at[0].has_address, "10.0.0.1");
    CHECK_EQ(s.at[0].has_port, 80);
    CHECK_TEXT(s.at[1].has_address, "");
}

/* ---- configuration ---- */

static void
check_action(const char *actions, const char *want)
{
    cleanup(setup_free) struct setup *s = setup_new(actions);
    char action[HAPROXY_ACTION_SIZE];

    haproxy_config_action(&s->config, &s->listener, action);
    CHECK_TEXT(action, want);
}

#define WEIGHTED(one, two)                                         \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[" \
    "{\"TargetGroupArn\":\"arn:one\",\"Weight\":" one "},"         \
    "{\"TargetGroupArn\":\"arn:two\",\"Weight\":" two "}]}}]"

static char *
config_with(enum config_log log, int *len_out)
{
    cleanup(setup_free) struct setup *s = setup_new("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]");
    struct strbuf text = {0};

    s->listener.log = log;
    haproxy_config_format(&s->config, &text);
    *len_out = (int)text.len;
    return strbuf_take(&text);
}

static void
check_holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        check_fail(__FILE__, __LINE__, "no '%s' in:\n%s", part, text);
}

/* Samples cost three lines and one of a request; the rest is what it was. */
TEST(what_is_said_of_requests_is_paid_where_it_is_asked_for)
{
    static const char samples[] =
        "    log unix@log.sock len 32768 format short local0\n"
        "    option dontlognull\n"
        "    log-format \"S listen %TR %Tw %Tc %Tr %Ta %b %si %sp %ST %tsc -\"\n"
        "    http-request set-log-level silent if { rand(16) gt 0 } { fe_req_rate gt 200 }"
        " || { rand(16) gt 0 } { fe_req_rate gt 3200 }\n";
    int none_len, samples_len, all_len;
    cleanup_free char *none = config_with(CONFIG_LOG_NONE, &none_len);
    cleanup_free char *some = config_with(CONFIG_LOG_SAMPLES, &samples_len);
    cleanup_free char *all = config_with(CONFIG_LOG_ALL, &all_len);

    CHECK(strstr(none, "log") == NULL);
    check_holds(some, samples);
    CHECK_EQ(samples_len - none_len, (int)sizeof(samples) - 1);
    check_holds(all, "    log-format \"F listen %TR %Tw %Tc %Tr %Ta %b %si %sp %ST %tsc - %Ts %ms ");
    check_holds(all, "    http-request set-var(txn.l_url) pathq,bytes(0,8192)\n");
    check_holds(all, "    http-request set-var(txn.l_trace) req.fhdr(x-amzn-trace-id),bytes(0,1024)\n");
    CHECK(strstr(all, "set-log-level") == NULL);
    CHECK(strstr(all, "l_trace) req") > strstr(all, "set-header X-Amzn-Trace-Id")); /* as the target gets it */
}

TEST(actions_become_map_values)
{
    check_action("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]", "fwd|group_one");
    check_action("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:strange\"}]", "none");
    check_action("[]", "none");
    check_action("[{\"Type\":\"authenticate-oidc\"}]", "none");
    check_action(WEIGHTED("90", "10"), "split|group_one|900|group_two|1000");
    check_action(WEIGHTED("1", "2"), "split|group_one|333|group_two|1000");
    check_action(WEIGHTED("0", "10"), "fwd|group_two");
    check_action(WEIGHTED("0", "0"), "none");
    check_action("[{\"Type\":\"redirect\",\"RedirectConfig\":{}}]", "redirect");
    check_action("[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{}}]", "fixed");
}

TEST(the_fingerprint_changes_with_the_structure_only)
{
    cleanup(setup_free) struct setup *s = setup_new(WEIGHTED("90", "10"));
    cleanup(setup_free) struct setup *other = setup_new(WEIGHTED("0", "10"));
    char first[HAPROXY_FINGERPRINT_SIZE], now[HAPROXY_FINGERPRINT_SIZE];

    haproxy_config_fingerprint(&s->config, first);
    CHECK(strncmp(first, "naru-", 5) == 0 && strlen(first) == 37);
    slots_take(&s->slots[0], "10.0.0.1", 80);
    s->slots[0].at[0].wants_ready = true;
    haproxy_config_fingerprint(&s->config, now);
    CHECK_TEXT(now, first); /* targets come and go at run time */
    haproxy_config_fingerprint(&other->config, now);
    CHECK_TEXT(now, first); /* and weights, even to nothing */
    slots_reserve(&s->slots[0], 17);
    haproxy_config_fingerprint(&s->config, now);
    CHECK(strcmp(now, first) != 0);
    s->listener.port = 8081;
    haproxy_config_fingerprint(&other->config, first);
    haproxy_config_fingerprint(&s->config, now);
    CHECK(strcmp(now, first) != 0);
}

static bool
contains(const struct strbuf *text, const char *part)
{
    return strstr(strbuf_cstr(text), part) != NULL;
}

TEST(the_text_has_every_part)
{
    cleanup(setup_free) struct setup *s = setup_new(WEIGHTED("90", "10"));
    cleanup(strbuf_done) struct strbuf text = {0};

    slots_take(&s->slots[0], "10.0.0.1", 80);
    s->slots[0].at[0].wants_ready = true;
    slots_take(&s->slots[0], "fd00::1", 81);
    s->groups[1].algorithm = "least_outstanding_requests";
    haproxy_config_format(&s->config, &text);
    CHECK(contains(&text, "frontend listener_listen_8080\n    bind 127.0.0.1:8080\n"
                          "    timeout client 75s\n"));
    CHECK(contains(&text, "backend group_one\n    balance roundrobin\n    timeout server 75s\n"));
    CHECK(contains(&text, "    server s1 10.0.0.1:80\n    server s2 [fd00::1]:81 disabled\n"
                          "    server s3 0.0.0.0:1 disabled\n"));
    CHECK(contains(&text, "backend group_two\n    balance leastconn\n"));
    CHECK(contains(&text, "hard-stop-after 310s\n"));
    CHECK(contains(&text, "option idle-close-on-response\n"));
    CHECK(contains(&text, "    timeout connect 2500ms\n")); /* four times, together AWS's ten seconds */
    CHECK(contains(&text, "    retries 3\n"));
    CHECK(contains(&text, "    server s16 0.0.0.0:1 disabled\n"));
    CHECK(!contains(&text, " check")); /* health is ours (alb.md B7) */
}

TEST(who_leads_to_one_group_pays_for_no_choice)
{
    cleanup(setup_free) struct setup *s =
        setup_new("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]");
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_format(&s->config, &text);
    CHECK(contains(&text,
                   "    http-request add-header X-Forwarded-For %[var(sess.client)]\n"
                   "    http-request add-header X-Forwarded-Proto http\n"
                   "    http-request add-header X-Forwarded-Port 8080\n"
                   "    http-request add-header X-Amzn-Trace-Id \"Root=1-%[date,hex,bytes(8),lower]-1%ms"
                   "%[rand(4294967295),add(1000000000)]%[rand(4294967295),add(1000000000)]\"\n"
                   "    http-response allow if { status 100:502 504:999 }\n"
                   "    http-response deny deny_status 502 if !{ status 503 }\n"
                   "    http-response set-var(txn.answered) int(1)\n"));
    CHECK(contains(&text,
                   "    http-after-response allow if !{ status 503 } || { var(txn.answered) -m found }\n"
                   "    http-after-response set-status 504 if { bc_src -m found } !{ bc_src -m ip 0.0.0.0 :: } !{ bc_err gt 0 }\n"
                   "    http-after-response set-status 502 if { status 503 } { be_name,nbsrv gt 0 }\n"
                   "    http-request allow if { method GET HEAD OPTIONS PUT DELETE } !{ req.hdr_names(:) -m reg"
                   " 'transfer-encoding|upgrade:|(?:x-forwarded-|x-amzn-trace-id).*x-forwarded-for' }\n"
                   "    http-request return status 405 if { method TRACE CONNECT }\n"
                   "    http-request return status 463 if { req.hdr_cnt(x-forwarded-for) gt 31 }\n"));
    CHECK(contains(&text,
                   "    http-request set-header X-Forwarded-Proto http\n"
                   "    http-request set-header X-Forwarded-Port 8080\n"
                   "    http-request disable-l7-retry if !{ method GET HEAD OPTIONS PUT DELETE }\n"
                   "    http-request set-header X-Forwarded-For \"%[req.fhdr(x-forwarded-for,-2)], %[var(sess.client)]\""
                   " if { req.fhdr_cnt(x-forwarded-for) 2 }\n"
                   "    http-request replace-header X-Amzn-Trace-Id '^(?:Self=[^;]*;? ?(.*)|(.*); ?Self=[^;]*(.*))'"
                   " '\\1\\2\\3' if { req.fhdr_cnt(x-amzn-trace-id) gt 1 }\n"
                   "    http-request set-header X-Amzn-Trace-Id \"Self=%[req.fhdr(x-amzn-trace-id,-1),bytes(5)];"
                   "%[req.fhdr(x-amzn-trace-id,-2)]\" if { req.fhdr(x-amzn-trace-id,-2) -m sub Root= }\n"
                   "    http-request set-header X-Amzn-Trace-Id %[req.fhdr(x-amzn-trace-id,-1)]"
                   " if { req.fhdr_cnt(x-amzn-trace-id) gt 1 }\n"
                   "    use_backend %[str(listen.default),map_str(maps/listen.actions),field(2,|)]\n"
                   "    default_backend none\n\n"));
    CHECK(!contains(&text, "http-request set-var"));
}

/* Who answers itself, or has all that is said of a request, meets the guards first and is let go by nothing. */
TEST(only_a_listener_that_forwards_lets_usual_requests_go)
{
    static const char *const actions[] = {
        "[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"200\"}}]",
        "[{\"Type\":\"redirect\",\"RedirectConfig\":{}}]",
    };

    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        cleanup(setup_free) struct setup *s = setup_new(actions[i]);
        cleanup(strbuf_done) struct strbuf text = {0};
        const char *guard, *own;

        haproxy_config_format(&s->config, &text);
        CHECK(!contains(&text, "http-request allow"));
        guard = strstr(strbuf_cstr(&text), "    http-request return status 405 if { method TRACE CONNECT }\n");
        own = strstr(strbuf_cstr(&text), i == 0 ? "return status 200\n" : "redirect location");
        CHECK(guard != NULL && own != NULL && guard < own);
        check_holds(strbuf_cstr(&text), "x-forwarded-for) gt 30 }\n");
        CHECK(!contains(&text, "add-header X-Forwarded-Proto"));
    }
}

TEST(user_text_cannot_leave_its_quotes)
{
    cleanup(setup_free) struct setup *s = setup_new(
        "[{\"Type\":\"redirect\",\"RedirectConfig\":{\"Host\":\"a\\\"b%[env(HOME)]\\nc$x\\\\\","
        "\"Port\":\"#{port}\",\"Query\":\"q=#{query}\",\"StatusCode\":\"HTTP_302\"}}]");
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_format(&s->config, &text);
    CHECK(contains(&text,
                   "redirect location \"%[ssl_fc,iif(https,http)]://a\\\"b%%[env(HOME)]\\x0ac\\$x\\\\:8080/"
                   "%[path,bytes(1)]?q=%[query]\" code 302\n"));
}

TEST(a_fixed_response_is_named_by_its_body)
{
    cleanup(setup_free) struct setup *s =
        setup_new("[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"404\","
                  "\"ContentType\":\"text/html\",\"MessageBody\":\"gone\\n\"}}]");
    cleanup(setup_free) struct setup *bare = setup_new(
        "[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"204\"}}]");
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(strbuf_done) struct strbuf bare_text = {0};
    char path[64], line[200];
    struct str body;

    CHECK(haproxy_config_body("listen", s->actions, path, &body));
    CHECK(str_is(body, "gone\n"));
    CHECK(strncmp(path, "bodies/listen-", 14) == 0);
    snprintf(line, sizeof(line), "return status 404 content-type \"text/html\" file \"%s\"\n",
             path);
    haproxy_config_format(&s->config, &text);
    CHECK(contains(&text, line));
    CHECK(!haproxy_config_body("listen", bare->actions, path, &body));
    haproxy_config_format(&bare->config, &bare_text);
    CHECK(contains(&bare_text, "return status 204\n"));
}

/* ---- answers ---- */

TEST(a_batch_of_answers_is_cut_at_empty_lines)
{
    /* as 2.6.12 gave it: addr, state, a server that is not there, the same addr, a map key, a
     * missing one, a missing map */
    struct str rest =
        STR("IP changed from '0.0.0.0' to '127.0.0.1', port changed from '1' to '18993' by "
            "'stats socket command'\n\n\nNo such server.\n\nno need to change the addr, no "
            "need to change the port by 'stats socket command'\n\n\nentry not found.\n\n"
            "Unknown map identifier. Please use #<id> or <file>.\n\n");
    struct str answer;

    CHECK(haproxy_next_answer(&rest, &answer) && haproxy_did_set_address(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && haproxy_did_set_quietly(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && str_is(answer, "No such server."));
    CHECK(!haproxy_did_set_quietly(answer) && !haproxy_did_set_address(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && haproxy_did_set_address(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && haproxy_did_set_quietly(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && !haproxy_did_set_quietly(answer));
    CHECK(haproxy_next_answer(&rest, &answer) && !haproxy_did_set_quietly(answer));
    CHECK(!haproxy_next_answer(&rest, &answer));
    rest = STR("cut off\n");
    CHECK(!haproxy_next_answer(&rest, &answer));
    rest = STR("cut off");
    CHECK(!haproxy_next_answer(&rest, &answer));
}

struct rows {
    struct haproxy_server at[8];
    int count;
};

static void
take_row(void *arg, const struct haproxy_server *row)
{
    struct rows *rows = arg;

    CHECK(rows->count < 8);
    rows->at[rows->count++] = *row;
}

#define STATE_HEAD                                                                          \
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight " \
    "srv_iweight "                                                                          \
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health "        \
    "srv_check_state "                                                                      \
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord\n"

TEST(server_states_are_read)
{
    struct rows rows = {0};
    struct err err;

    CHECK(haproxy_parse_state(STR(STATE_HEAD
                                  "4 group_x 1 s1 127.0.0.1 2 0 1 1 0 1 0 2 0 0 0 0 - 18992 -\n"
                                  "4 group_x 2 s2 fd00::1 2 4 1 1 0 1 0 0 8 0 0 0 - 18993 -\n"
                                  "4 group_x 3 s3 0.0.0.0 0 5 1 1 0 1 0 0 8 0 0 0 - 1 -\n\n"),
                              take_row, &rows, &err));
    CHECK_EQ(rows.count, 3);
    CHECK(rows.at[0].is_ready && rows.at[1].is_ready && !rows.at[2].is_ready);
    CHECK_TEXT(rows.at[1].address, "fd00::1");
    CHECK_EQ(rows.at[1].port, 18993);
    CHECK(!haproxy_parse_state(STR("2\n"), take_row, &rows, &err));
    CHECK(!haproxy_parse_state(STR("1\n# be_id be_name\n"), take_row, &rows, &err));
    CHECK(!haproxy_parse_state(STR(STATE_HEAD "4 group_x 1 s1\n"), take_row, &rows, &err));
    CHECK(!haproxy_parse_state(STR(""), take_row, &rows, &err));
}

TEST(connections_are_read)
{
    struct rows rows = {0};
    struct err err;

    CHECK(haproxy_parse_connections(STR("# bkname/svname bkid/svid addr port - purge_delay "
                                        "used_cur used_max need_est unsafe_nb safe_nb "
                                        "idle_lim idle_cur idle_per_thr[2]\ngroup_x/s1 4/1 "
                                        "127.0.0.1 18992 - 5000 3 7 0 0 0 -1 0 0 0\n\n"),
                                    take_row, &rows, &err));
    CHECK_EQ(rows.count, 1);
    CHECK_EQ(rows.at[0].used, 3);
    CHECK_TEXT(rows.at[0].backend, "group_x");
    CHECK_TEXT(rows.at[0].name, "s1");
    CHECK(!haproxy_parse_connections(STR("Can't find backend.\n\n"), take_row, &rows, &err));
    CHECK_EQ(err.code, ERR_HAPROXY);
}

TEST(the_process_list_is_read)
{
    struct haproxy_processes p;
    struct err err;

    CHECK(haproxy_parse_processes(
        STR("#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
            "17146           master          1 [failed: 2]   0d00h00m01s     2.6.12-1+deb12u4\n# "
            "workers\n"
            "17256           worker          0               0d00h00m00s     2.6.12-1+deb12u4\n"
            "# old workers\n17171           worker          1               0d00h00m01s     "
            "2.6.12\n"
            "17172           worker          2               0d00h00m01s     2.6.12\n# "
            "programs\n\n"),
        &p, &err));
    CHECK_EQ(p.master, 17146);
    CHECK_EQ(p.failed_reloads, 2);
    CHECK_EQ(p.worker, 17256);
    CHECK_EQ(p.old_worker_count, 2);
    CHECK_EQ(p.old_workers[1], 17172);
    CHECK(!haproxy_parse_processes(STR("Unknown command\n"), &p, &err));
}

TEST(clients_that_have_not_spoken_are_counted)
{
    int64_t count = -1;
    struct err err;

    CHECK(haproxy_parse_waiting(STR("# pxname,svname,qcur,qmax,scur,smax,\nlistener_a_80,FRONTEND,,,4,9,\n"
                                    "group_a,BACKEND,0,0,1,2,\n\n"), &count, &err));
    CHECK_EQ(count, 3);
    CHECK(haproxy_parse_waiting(STR("# pxname,svname,scur,\nf,FRONTEND,0,\nb,BACKEND,1,\nb,s1,7,\n\n"), &count, &err));
    CHECK_EQ(count, 0);
    CHECK(!haproxy_parse_waiting(STR("# pxname,svname,scur,\nf,FRONTEND\n\n"), &count, &err));
    CHECK(!haproxy_parse_waiting(STR("# pxname,svname,smax,\nf,FRONTEND,1,\n\n"), &count, &err));
    CHECK(!haproxy_parse_waiting(STR("Unknown command\n\n"), &count, &err));
}

TEST(information_is_read)
{
    struct haproxy_info info;
    struct err err;

    CHECK(haproxy_parse_info(STR("Name: HAProxy\nPid: 15538\nUptime: 0d 0h00m07s\nUptime_sec: 7\n"
                                 "description: naru-0123\nStopping: 0\nBuild info: x\n\n"),
                             &info, &err));
    CHECK_EQ(info.pid, 15538);
    CHECK_EQ(info.uptime_s, 7);
    CHECK_TEXT(info.description, "naru-0123");
    CHECK(!info.is_stopping);
    CHECK(!haproxy_parse_info(STR("Permission denied\n\n"), &info, &err));
}

/* ---- HTTP heads ---- */

static enum http_head
head_of(const char *text, int *status)
{
    *status = 0;
    return http_head_parse(str_of(text), status);
}

TEST(heads_of_answers_are_read)
{
    int status;

    CHECK(head_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", &status) == HTTP_HEAD_DONE);
    CHECK_EQ(status, 200);
    CHECK(head_of("HTTP/1.0 404\n\n", &status) == HTTP_HEAD_DONE);
    CHECK_EQ(status, 404);
    CHECK(head_of("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 No\r\n\r\n",
                  &status) == HTTP_HEAD_DONE);
    CHECK_EQ(status, 503);
    CHECK(head_of("HTTP/1.1 101 Switching\r\n\r\n", &status) == HTTP_HEAD_DONE);
    const char *const unfinished[] = {"",
                                      "HT",
                                      "HTTP/1.1 200 OK",
                                      "HTTP/1.1 200 OK\r\n",
                                      "HTTP/1.1 200 OK\r\nA: b\r\n",
                                      "HTTP/1.1 100 C\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(unfinished); i++)
        CHECK(head_of(unfinished[i], &status) == HTTP_HEAD_MORE);
    const char *const bad[] = {"SSH-2.0-OpenSSH\r\n",
                               "HTTP/2 200\r\n\r\n",
                               "HTTP/1.1 20 OK\r\n\r\n",
                               "HTTP/1.1 2000 OK\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                               "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
                               "HTTP/1.1 099 OK\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nA\x01: b\r\n\r\n",
                               "HTTP/1.1  200 OK\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(head_of(bad[i], &status) == HTTP_HEAD_BAD);
}

TEST(a_head_without_end_is_malformed)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    int status;

    strbuf_add_cstr(&text, "HTTP/1.1 200 OK\r\n");
    while (text.len < HTTP_HEAD_LIMIT)
        strbuf_add_cstr(&text, "X-Fill: 0123456789\r\n");
    CHECK(http_head_parse(strbuf_str(&text), &status) == HTTP_HEAD_BAD);
}
