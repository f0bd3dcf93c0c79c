/* SPDX-License-Identifier: MIT */
#include "io/mail.h"

#include <curl/curl.h>
#include "io/http_client.h"

struct sending {
    const struct mail *mail;
    size_t at;
};

static size_t
give(char *to, size_t size, size_t count, void *arg)
{
    struct sending *s = arg;
    struct str rest = str_slice(s->mail->message, s->at, s->mail->message.len);
    size_t n = rest.len < size * count ? rest.len : size * count;

    memcpy(to, rest.at == NULL ? "" : rest.at, n);
    s->at += n;
    return n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct sending *s = arg;

    return s->mail->is_cancelled != NULL && s->mail->is_cancelled(s->mail->arg);
}

static bool
set_options(CURL *c, struct sending *s, char *detail)
{
    const struct mail *m = s->mail;
    bool ok = curl_easy_setopt(c, CURLOPT_URL, m->server) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_MAIL_FROM, m->from) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_READFUNCTION, give) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_READDATA, s) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_XFERINFODATA, s) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)m->timeout_ms) == CURLE_OK;

    /* A login never goes over the wire in the clear: TLS is asked for where the server has it. */
    ok = ok && curl_easy_setopt(c, CURLOPT_USE_SSL,
                                m->user != NULL ? CURLUSESSL_ALL : CURLUSESSL_TRY) == CURLE_OK;
    if (m->user != NULL)
        ok = ok && curl_easy_setopt(c, CURLOPT_USERNAME, m->user) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_PASSWORD, m->password) == CURLE_OK;
    return ok;
}

bool
mail_send(const struct mail *m, struct err *err)
{
    struct sending s = {.mail = m};
    struct curl_slist *to = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    CURLcode result = CURLE_FAILED_INIT;
    CURL *c;

    http_client_init();
    c = curl_easy_init();
    if (c == NULL)
        abort();
    for (size_t i = 0; m->recipients[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(to, m->recipients[i]);
        if (longer == NULL)
            abort();
        to = longer;
    }
    if (set_options(c, &s, detail) && curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to) == CURLE_OK)
        result = curl_easy_perform(c);
    curl_slist_free_all(to);
    curl_easy_cleanup(c);
    return result == CURLE_OK || err_set(err, ERR_UNAVAILABLE, "%s: %s", m->server,
                                         detail[0] != '\0' ? detail : curl_easy_strerror(result));
}
