/* SPDX-License-Identifier: MIT */
#include "io/http_cut.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

#define LINGER_MS 2000
#define WRITE_MS 2000

static int
socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

static gnutls_session_t
session_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info != NULL ? info->tls_session : NULL;
}

static enum MHD_Result
header_add(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct strbuf *out = cls;

    (void)kind;
    if (!str_equal_nocase(str_of(name), STR("Connection")))
        strbuf_addf(out, "%s: %s\r\n", name, value);
    return MHD_YES;
}

/* Bytes written, 0: not now, -1: never. */
static ssize_t
write_some(int fd, gnutls_session_t session, struct str bytes)
{
    ssize_t n;

    if (session == NULL) {
        n = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
    }
    n = gnutls_record_send(session, bytes.at, bytes.len);
    return n < 0 && gnutls_error_is_fatal((int)n) == 0 ? 0 : n;
}

static bool
write_whole(int fd, gnutls_session_t session, struct str bytes)
{
    const int64_t end_ms = clock_monotonic_ms() + WRITE_MS;

    while (bytes.len > 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        const ssize_t n = write_some(fd, session, bytes);
        const int64_t left_ms = end_ms - clock_monotonic_ms();

        if (n < 0 || (n == 0 && (left_ms <= 0 || poll(&p, 1, (int)left_ms) < 0)))
            return false;
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return true;
}

bool
http_cut_answer(struct MHD_Connection *connection, int status, struct MHD_Response *reply,
                struct str body)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    const int fd = socket_of(connection);

    strbuf_addf(&out, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
                MHD_get_reason_phrase_for((unsigned)status), body.len);
    (void)MHD_get_response_headers(reply, header_add, &out);
    strbuf_add_cstr(&out, "\r\n");
    strbuf_add(&out, body);
    return fd >= 0 && write_whole(fd, session_of(connection), strbuf_str(&out));
}

bool
http_cut_by_client(struct MHD_Connection *connection)
{
    struct pollfd p = {.fd = socket_of(connection), .events = POLLRDHUP};

    return p.fd >= 0 && poll(&p, 1, /* timeout= */ 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void
http_cut_linger(struct MHD_Connection *connection)
{
    const int fd = socket_of(connection);
    const gnutls_session_t session = session_of(connection);
    int64_t end_ms = clock_monotonic_ms() + LINGER_MS, now_ms;
    char waste[16384];

    if (session != NULL)
        (void)gnutls_bye(session, GNUTLS_SHUT_WR);
    if (fd < 0 || shutdown(fd, SHUT_WR) != 0)
        return;
    while ((now_ms = clock_monotonic_ms()) < end_ms) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, (int)(end_ms - now_ms)) <= 0)
            return;
        n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}
