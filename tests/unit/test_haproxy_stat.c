/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_stat.h"
#include "check.h"

#define HEADER                                                                                                \
    "# pxname,svname,scur,stot,bin,bout,dreq,econ,eresp,wretr,wredis,type,hrsp_1xx,hrsp_2xx,hrsp_3xx,"        \
    "hrsp_4xx,hrsp_5xx,req_tot,last_chk,addr,conn_tot,dcon,used_conn_cur,\n"

struct rows {
    struct haproxy_stat at[4];
    int count;
};

static void
take(void *arg, const struct haproxy_stat *row)
{
    struct rows *r = arg;

    CHECK(r->count < 4);
    r->at[r->count++] = *row;
}

TEST(rows_are_read_by_the_names_of_their_columns)
{
    static const char text[] = HEADER
        "listener_a_80,FRONTEND,5,70,1,2,3,,,,,0,0,60,1,8,1,71,,,72,4,,\n"
        "group_b,s1,1,40,10,20,,2,1,3,1,2,0,35,0,5,0,40,\"L4, ok \"\"x\"\"\",10.0.0.7:8080,,,2,\n"
        "group_b,s2,0,0,0,0,,0,0,0,0,2,0,0,0,0,0,0,,[fd00::7]:80,,,0,\n"
        "group_b,BACKEND,1,40,10,20,0,2,1,3,1,1,0,35,0,5,2,40,,,,,2,\n"
        "group_b,a socket,0,0,0,0,0,,,,,3,,,,,,,,,,,,\n\n";
    struct rows r = {0};
    struct err err;

    CHECK(haproxy_parse_stat(STR(text), take, &r, &err));
    CHECK_EQ(r.count, 4);
    CHECK_EQ(r.at[0].kind, STAT_FRONTEND);
    CHECK(str_is(r.at[0].proxy, "listener_a_80"));
    CHECK_EQ(r.at[0].value[STAT_req_tot], 71);
    CHECK_EQ(r.at[0].value[STAT_hrsp_4xx], 8);
    CHECK_EQ(r.at[0].value[STAT_econ], 0);
    CHECK_EQ(r.at[1].kind, STAT_SERVER);
    CHECK(str_is(r.at[1].server, "s1"));
    CHECK(str_is(r.at[1].address, "10.0.0.7"));
    CHECK_EQ(r.at[1].port, 8080);
    CHECK_EQ(r.at[1].value[STAT_wretr], 3);
    CHECK_EQ(r.at[1].value[STAT_used_conn_cur], 2);
    CHECK(str_is(r.at[2].address, "fd00::7"));
    CHECK_EQ(r.at[3].kind, STAT_BACKEND);
    CHECK_EQ(r.at[3].value[STAT_hrsp_5xx], 2);
}

TEST(what_is_not_understood_is_an_error)
{
    static const char *const bad[] = {
        "",
        "Unknown command.\n",
        "No such proxy.\n\n",
        "# pxname,svname,type,addr,\n",
        HEADER "group_b,s1,1\n",
        HEADER "group_b,s1,1,x,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7:8080,,,2,\n",
        HEADER "group_b,s1,1,-4,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7:8080,,,2,\n",
        HEADER "group_b,s1,1,4,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7:99999,,,2,\n",
        HEADER "group_b,s1,1,4,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7,,,2,\n",
        HEADER "group_b,s1,,4,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7:80,,,2,\n",
        HEADER "group_b,s1,x,4,10,20,,2,1,3,1,2,0,35,0,5,0,40,,10.0.0.7:80,,,2,\n",
        HEADER "group_b,s1,1,4,10,20,,2,1,3,1,2,0,35,0,5,0,40,\"open,10.0.0.7:80,,,2,\n",
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct rows r = {0};
        struct err err;
        CHECK(!haproxy_parse_stat(str_of(bad[i]), take, &r, &err));
        CHECK_EQ(err.code, ERR_HAPROXY);
    }
}

TEST(lost_lines_are_counted)
{
    CHECK_EQ(haproxy_dropped_logs(STR("Name: HAProxy\nDroppedLogs: 17\nBusyPolling: 0\n")), 17);
    CHECK_EQ(haproxy_dropped_logs(STR("Name: HAProxy\n")), 0);
    CHECK_EQ(haproxy_dropped_logs(STR("DroppedLogs: -1\n")), 0);
}
