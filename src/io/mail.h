/* SPDX-License-Identifier: MIT */
/* mail.h - sends one message by SMTP with libcurl.  Blocking. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct mail {
    const char *server;            /* "smtp://host:25" or "smtps://host" */
    const char *user, *password;   /* NULL: no login */
    const char *from;              /* "ci@example.com" */
    const char *const *recipients; /* addresses, NULL-terminated */
    struct str message;            /* header and body, lines end with CR LF */
    int64_t timeout_ms;
    bool (*is_cancelled)(void *arg); /* asked about once a second; may be NULL */
    void *arg;
};

bool mail_send(const struct mail *m, struct err *err) MUST_CHECK;
