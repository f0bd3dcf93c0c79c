/* SPDX-License-Identifier: MIT */
/* An authority of ours and certificates of it. */
#include "check.h"

#include "base/clock.h"
#include "base/x509.h"
#include "base/x509_make.h"

#define DAY_MS (86400LL * 1000)

TEST(a_certificate_is_for_its_names_and_of_its_authority)
{
    cleanup(x509_made_done) struct x509_made ca = {0}, other = {0}, server = {0};
    cleanup(strbuf_done) struct strbuf bundle = {0}, clean = {0};
    const int64_t now_ms = clock_wall_ms();
    struct err err = {0};
    char fingerprint[41];

    CHECK(x509_make_authority("one", &ca, &err) && x509_make_authority("two", &other, &err));
    CHECK(x509_make_server(&ca, STR("naru.example,10.0.0.7,::1,localhost"), &server, &err));
    const struct str made = strbuf_str(&server.certificate), of = strbuf_str(&ca.certificate);
    CHECK(x509_is_made_for(made, of, STR("naru.example,10.0.0.7,::1,localhost"), now_ms));
    CHECK(x509_is_made_for(made, of, STR("localhost, ::1,10.0.0.7,naru.example"), now_ms));
    CHECK(!x509_is_made_for(made, of, STR("naru.example,10.0.0.7"), now_ms)); /* it has more */
    CHECK(!x509_is_made_for(made, of, STR("naru.example,10.0.0.8,::1,localhost"), now_ms));
    CHECK(!x509_is_made_for(made, strbuf_str(&other.certificate), STR("localhost"), now_ms));
    CHECK(!x509_is_made_for(STR("nonsense"), of, STR("localhost"), now_ms));
    CHECK(!x509_is_made_for(made, of, STR("naru.example,10.0.0.7,::1,localhost"),
                            now_ms + 370 * DAY_MS)); /* time for another one */
    strbuf_add(&bundle, made);
    strbuf_add(&bundle, strbuf_str(&server.private_key));
    CHECK(x509_is_servable(strbuf_str(&bundle), fingerprint, &err));
    CHECK_EQ(x509_read_authorities(of, &clean, &err), 1);
}

TEST(what_is_no_name_gets_no_certificate)
{
    cleanup(x509_made_done) struct x509_made ca = {0};
    struct err err = {0};
    const char *const names[] = {"", "a,,b", "DNS:a", "a b", "a/b", "a.example\nIP:1", "10.0.0.7/8"};

    CHECK(x509_make_authority("one", &ca, &err));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup(x509_made_done) struct x509_made server = {0};
        CHECK(!x509_make_server(&ca, str_of(names[i]), &server, &err));
        CHECK_EQ(err.code, ERR_VALIDATION);
        CHECK_EQ(server.certificate.len, 0);
    }
}
