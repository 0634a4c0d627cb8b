/* kafka_test.c - a Kafka client's configuration: what is wrong is named, what our promises rest upon cannot be set. The rest is in tests/brokers. */
#include "client/kafka.h"

#include "unit/in_loop.h"
#include "unit/test.h"

static err_t check_property(struct str name, struct str value)
{
    struct kafka_property one = {name, value};
    return kafka_config_check(
        &(struct kafka_config){.brokers = STR("localhost:9092"), .properties = &one, .property_count = 1},
        KAFKA_CONSUMER);
}

TEST(kafka_configuration_names_the_property_that_is_wrong)
{
    CHECK_OK(check_property(STR("fetch.max.bytes"), STR("1000000")));
    CHECK_ERR(check_property(STR("fetch.max.bites"), STR("1")), E_CONFIG);
    CHECK(str_find(str_from_c(err_detail(E_CONFIG)), STR("fetch.max.bites")) < strlen(err_detail(E_CONFIG)));
    CHECK_ERR(check_property(STR("fetch.max.bytes"), STR("many")), E_CONFIG);
    CHECK(str_find(str_from_c(err_detail(E_CONFIG)), STR("fetch.max.bytes")) < strlen(err_detail(E_CONFIG)));
}

TEST(kafka_configuration_keeps_what_promises_rest_upon)
{
    CHECK_ERR(check_property(STR("enable.auto.commit"), STR("true")), E_CONFIG);
    CHECK(str_find(str_from_c(err_detail(E_CONFIG)), STR("enable.auto.commit")) < strlen(err_detail(E_CONFIG)));
    CHECK_ERR(kafka_config_check(&(struct kafka_config){0}, KAFKA_PRODUCER), E_CONFIG);
    CHECK_ERR(kafka_config_check(&(struct kafka_config){.brokers = STR("localhost:9092"), .security = STR("SSH")},
                                 KAFKA_PRODUCER),
              E_CONFIG);
}

static void open_in_simulation(void)
{
    struct kafka_consumer *c;
    struct str topic = STR("t");
    CHECK_ERR(kafka_consumer_open(
                  &(struct kafka_config){.brokers = STR("localhost:1")},
                  &(struct kafka_consumer_options){.group = STR("g"), .topics = &topic, .topic_count = 1}, &c),
              E_UNSUPPORTED);
}

TEST(kafka_is_not_there_in_simulation)
{
    in_sim(open_in_simulation);
}
