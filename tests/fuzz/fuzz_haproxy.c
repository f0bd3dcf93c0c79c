/* SPDX-License-Identifier: MIT */
/* HAProxy's answers: the first byte chooses the parser. */
#include <assert.h>
#include "balancer/haproxy_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take_server(void *arg, const struct haproxy_server *s)
{
    assert(s->port >= 0 && s->port <= 65535 && s->used >= 0);
    assert(strlen(s->backend) < sizeof(s->backend) && strlen(s->address) < sizeof(s->address));
}

static void
take_name(void *arg, struct str name)
{
    assert(name.at != NULL);
}

static void
cut_answers(struct str text)
{
    struct str rest = text, answer;

    while (haproxy_next_answer(&rest, &answer)) {
        assert(answer.len <= text.len);
        assert(!(haproxy_did_set_address(answer) && haproxy_did_set_quietly(answer)));
    }
}

static void
read_map(struct str text)
{
    cleanup(strbuf_done) struct strbuf map = {0};

    if (haproxy_parse_map(text, &map))
        assert(map.len == 0 || strbuf_cstr(&map)[map.len - 1] == '\n');
}

static void
read_certificate(void *arg, struct str id)
{
    const struct str *text = arg;

    assert(id.len > 0 && id.at > text->at && id.at + id.len < text->at + text->len);
}

static void
read_certificates(struct str text)
{
    char fingerprint[41];

    haproxy_parse_certificates(text, read_certificate, &text);
    if (haproxy_parse_fingerprint(text, fingerprint))
        assert(strlen(fingerprint) == 40);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t version;
    struct haproxy_info info;
    struct haproxy_processes processes;
    struct err err;

    if (size == 0)
        return 0;
    char *copy = mem_new(size);
    memcpy(copy, data + 1, size - 1);
    const struct str text = {copy, size - 1};
    switch (data[0] % 8) {
    case 0:
        (void)!haproxy_parse_state(text, take_server, NULL, &err);
        break;
    case 1:
        (void)!haproxy_parse_connections(text, take_server, NULL, &err);
        break;
    case 2:
        (void)!haproxy_parse_info(text, &info, &err);
        break;
    case 3:
        if (haproxy_parse_processes(text, &processes, &err))
            assert(processes.master > 0 && processes.old_worker_count <= HAPROXY_OLD_WORKERS_MAX);
        break;
    case 4:
        (void)!haproxy_parse_frontends(text, take_name, NULL, &err);
        break;
    case 6:
        read_map(text);
        break;
    case 7:
        if (haproxy_parse_version(text, &version))
            assert(version >= 0);
        break;
    default:
        cut_answers(text);
        read_certificates(text);
        break;
    }
    free(copy);
    return 0;
}
