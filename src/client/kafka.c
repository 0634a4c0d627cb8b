/*
 * kafka.c - what consumers and producers have in common: configuration, the thread that calls block on, errors, lists of partitions.
 *
 * A configuration is checked by librdkafka itself: every property is set in a configuration of its own, and what it says against one is told with
 * the property's name. Properties that our promises rest upon (who commits, what is idempotent, who owns which id) cannot be set from outside.
 *
 * librdkafka's log lines go to our log; those that it writes at level info and below are our debug.
 *
 * What it does not do: reaching a broker to see whether the configuration works.
 */
#include "base/log.h"
#include "base/mem.h"
#include "client/kafka_int.h"
#include "rt/loop.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

enum { VALUE_MAX = 16384, PROPERTIES_MAX = 256 };

/* ---- the thread ---- */

static void do_jobs(void *ctx UNUSED, struct serial_job *jobs)
{
    for (struct serial_job *s = jobs, *next; s; s = next) {
        struct kafka_job *j = CONTAINER_OF(s, struct kafka_job, job);
        next = s->next;
        serial_done(s, j->run(j));
    }
}

static void nothing_to_free(void *ctx UNUSED)
{
}

err_t kafka_thread_start(const char *name, struct serial **ret)
{
    static const struct serial_ops ops = {.group = do_jobs, .close = nothing_to_free};

    if (loop_seams()->simulated)
        return fail(E_UNSUPPORTED, "there is no Kafka in simulation");
    return serial_start(name, &ops, NULL, ret);
}

/* ---- configuration ---- */

err_t kafka_conf_set(rd_kafka_conf_t *conf, const char *name, struct str value)
{
    char text[256];

    if (value.n > VALUE_MAX)
        return fail(E_CONFIG, "kafka: %s has more than %d bytes", name, VALUE_MAX);
    char *copy = mem_dup(value.p ? value.p : "", value.n);
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, copy, text, sizeof text);
    mem_free(copy);
    if (res == RD_KAFKA_CONF_OK)
        return OK;
    return fail(E_CONFIG, "kafka: %s", text);
}

err_t kafka_conf_set_number(rd_kafka_conf_t *conf, const char *name, int64_t value)
{
    char text[24];

    int n = snprintf(text, sizeof text, "%lld", (long long)value);
    return kafka_conf_set(conf, name, str_of(text, (size_t)n));
}

static bool is_ours(struct str name)
{
    static const char *const ours[] = {
        "bootstrap.servers",
        "metadata.broker.list",
        "security.protocol",
        "sasl.mechanisms",
        "sasl.mechanism",
        "sasl.username",
        "sasl.password",
        "group.id",
        "group.instance.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "partition.assignment.strategy",
        "isolation.level",
        "queued.max.messages.kbytes",
        "transactional.id",
        "transaction.timeout.ms",
        "enable.idempotence",
        "queue.buffering.max.messages",
        "enable.partition.eof",
        "plugin.library.paths",
    };

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_eq(name, str_from_c(ours[i])))
            return true;
    return false;
}

static err_t set_property(rd_kafka_conf_t *conf, const struct kafka_property *property)
{
    if (property->name.n > KAFKA_NAME_MAX)
        return fail(E_CONFIG, "kafka: the name of a property has more than %d bytes", KAFKA_NAME_MAX);
    if (is_ours(property->name))
        return fail(E_CONFIG, "kafka: the property %.*s cannot be set here: it follows from the rest",
                    STR_ARG(property->name));
    char *name = mem_dup(property->name.p, property->name.n);
    err_t e = kafka_conf_set(conf, name, property->value);
    mem_free(name);
    return e;
}

static err_t set_if_given(rd_kafka_conf_t *conf, const char *name, struct str value)
{
    return value.n ? kafka_conf_set(conf, name, value) : OK;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    /* A connection's properties are for both roles: that one has no use for some is nothing to warn of. */
    bool is_expected = strcmp(facility, "CONFWARN") == 0;

    if (level <= LOG_WARNING && !is_expected)
        log_warn(STR_NONE, "kafka: %s: %s: %s", rd_kafka_name(rk), facility, text);
    else
        log_debug(STR_NONE, "kafka: %s: %s: %s", rd_kafka_name(rk), facility, text);
}

static err_t set_all(rd_kafka_conf_t *conf, const struct kafka_config *config, enum kafka_role role)
{
    if (config->property_count > PROPERTIES_MAX)
        return fail(E_CONFIG, "kafka: more than %d properties", PROPERTIES_MAX);
    TRY(kafka_conf_set(conf, "bootstrap.servers", config->brokers));
    TRY(set_if_given(conf, "security.protocol", config->security));
    TRY(set_if_given(conf, "sasl.mechanisms", config->mechanism));
    TRY(set_if_given(conf, "sasl.username", config->username));
    TRY(set_if_given(conf, "sasl.password", config->password));
    for (size_t i = 0; i < config->property_count; i++)
        TRY(set_property(conf, &config->properties[i]));
    switch (role) {
    case KAFKA_CONSUMER:
        TRY(kafka_conf_set(conf, "enable.auto.commit", STR("false")));
        return kafka_conf_set(conf, "enable.auto.offset.store", STR("false"));
    case KAFKA_PRODUCER:
        return kafka_conf_set(conf, "enable.idempotence", STR("true"));
    }
    return OK;
}

err_t kafka_conf_make(const struct kafka_config *config, enum kafka_role role, rd_kafka_conf_t **ret)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, on_log);
    err_t e = set_all(conf, config, role);
    if (e != OK) {
        rd_kafka_conf_destroy(conf);
        return e;
    }
    *ret = conf;
    return OK;
}

err_t kafka_config_check(const struct kafka_config *config, enum kafka_role role)
{
    rd_kafka_conf_t *conf;

    if (config->brokers.n == 0)
        return fail(E_CONFIG, "kafka: no brokers are named");
    TRY(kafka_conf_make(config, role, &conf));
    rd_kafka_conf_destroy(conf);
    return OK;
}

/* ---- errors ---- */

/* librdkafka's codes are hundreds, and more with each version: what is not told apart here is the broker's failure. */
static err_t meaning_of(rd_kafka_resp_err_t code)
{
    static const struct {
        rd_kafka_resp_err_t code;
        err_t meaning;
    } known[] = {
        {RD_KAFKA_RESP_ERR__FENCED, E_FENCED},
        {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, E_FENCED},
        {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, E_FENCED},
        {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, E_FENCED},
        {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, E_FENCED},
        {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, E_FENCED},
        {RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, E_FENCED},
        {RD_KAFKA_RESP_ERR__AUTHENTICATION, E_AUTH},
        {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, E_AUTH},
        {RD_KAFKA_RESP_ERR__SSL, E_TLS},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, E_FORBIDDEN},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, E_FORBIDDEN},
        {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, E_FORBIDDEN},
        {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, E_FORBIDDEN},
        {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, E_NOT_FOUND},
        {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, E_NOT_FOUND},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, E_NOT_FOUND},
        {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, E_NOT_FOUND},
        {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, E_CONFLICT},
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, E_TOO_LARGE},
        {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, E_TOO_LARGE},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].code == code)
            return known[i].meaning;
    return E_UPSTREAM;
}

err_t kafka_fail(rd_kafka_resp_err_t code, const char *what, const char *words)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    return fail(meaning_of(code), "kafka: %s: %s (%s)", what, words ? words : rd_kafka_err2str(code),
                rd_kafka_err2name(code));
}

err_t kafka_fail_error(rd_kafka_error_t *error, const char *what)
{
    if (!error)
        return OK;
    err_t e = kafka_fail(rd_kafka_error_code(error), what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return e;
}

/* ---- partitions ---- */

err_t kafka_list_make(const struct kafka_partition *list, size_t n, rd_kafka_topic_partition_list_t **ret)
{
    rd_kafka_topic_partition_list_t *to = rd_kafka_topic_partition_list_new((int)n);

    for (size_t i = 0; i < n; i++) {
        if (list[i].topic.n == 0 || list[i].topic.n > KAFKA_NAME_MAX) {
            rd_kafka_topic_partition_list_destroy(to);
            return fail(E_CONFIG, "kafka: the name of a topic has 1 to %d bytes", KAFKA_NAME_MAX);
        }
        char *topic = mem_dup(list[i].topic.p, list[i].topic.n);
        rd_kafka_topic_partition_list_add(to, topic, list[i].partition)->offset = list[i].offset;
        mem_free(topic);
    }
    *ret = to;
    return OK;
}
