/* SPDX-License-Identifier: MIT */
/* config.h - what `naru server` was told: options, then the environment, then defaults; and the
 * installation in the data directory: keys and identity, made at the first start. */
#pragma once
#include "base/err.h"
#include "model/types.h"

struct config {
    char data_dir[512];       /* --data-dir, NARU_DATA_DIR, /var/lib/naru */
    char listen[ADDRESS_SIZE];/* --listen, NARU_LISTEN, 127.0.0.1 */
    unsigned port;            /* --port, NARU_PORT, 4566 */
    char region[REGION_SIZE]; /* --region, NARU_REGION, that of the last start, ap-northeast-2 */
    char account[16];         /* NARU_ACCOUNT_ID (at the first start; later ones may not change it), 000000000000 */
    char docker_socket[256];  /* --docker-socket, DOCKER_HOST (unix://), /var/run/docker.sock */
    char haproxy[256];        /* NARU_HAPROXY; empty: in PATH */
    char gpu_directory[256];  /* NARU_GPU_DIRECTORY, /proc/driver/nvidia/gpus */
    char balancer_address[ADDRESS_SIZE]; /* --listener-address, NARU_LISTENER_ADDRESS, 0.0.0.0 */
    char hooks_dir[600];      /* --hooks-dir, NARU_HOOKS_DIR, <data dir>/hooks: commands of lifecycle hooks */
    char build_role[1024];    /* --build-role, NARU_BUILD_ROLE, deploy: what the keys of builds may (build_key.h) */
    char github_api_url[512]; /* NARU_GITHUB_API_URL; empty: by the URL of a repository */
    char github_secret[256];  /* NARU_GITHUB_SECRET; empty: webhooks are refused */
    char registry_quota_text[32];
    int64_t registry_quota;   /* --registry-quota, NARU_REGISTRY_QUOTA: bytes; 0: what the disk has */
    int64_t registry_collect_s, registry_keep_s; /* NARU_REGISTRY_COLLECT_SECONDS and _KEEP_SECONDS, 3600 */
    char per_address_text[16];
    unsigned per_address;     /* --connections-per-address, NARU_CONNECTIONS_PER_ADDRESS, 128; 0: no limit */
    char body_bytes_text[32];
    int64_t body_bytes;       /* --body-memory, NARU_BODY_MEMORY, 256M: of bodies of requests, all together */
    char trusted_addresses[1024]; /* --trusted-addresses, NARU_TRUSTED_ADDRESSES: without these two (http_guests.h) */
    char proxies[1024];           /* --proxies, NARU_PROXIES: who may say who his clients are (http_proxies.h) */
    char prefetch[8];         /* --prefetch, NARU_PREFETCH, on: or off, see core/prefetch.h */
    char tls_certificate[512], tls_key[512]; /* --tls-certificate, --tls-key; door_tls.h */
    char tls_names[1024];     /* --tls-names, NARU_TLS_NAMES: a certificate for them is made */
    bool is_verbose;          /* --verbose */
    /* from the installation */
    char access_key_id[64], secret_access_key[128];
    char installation[17];    /* 16 hex: labels containers */
    char host[64];            /* the machine's name at the first start: that of its instances */
    char endpoint_url[128];   /* http://localhost:<port> */
};

/* Reads options and environment.  ERR_USAGE names what is wrong. */
bool config_parse(struct config *c, int argc, char **argv, struct err *err) MUST_CHECK;
/* Makes the data directory, takes its lock (held until the process ends; a second server on the same data is
 * refused), and reads or makes credentials.json and the installation's id. ERR_USAGE: it belongs to another account. */
bool config_open_data(struct config *c, struct err *err) MUST_CHECK;
