/* server_load_test.c - pages as inference servers print them, and what they say of their load. */
#include "llm/server_load.h"

#include "unit/test.h"

static void take_page(struct str page, struct server_load *to)
{
    struct prometheus_sample s;

    do {
        CHECK_OK(prometheus_next(&page, &s));
        if (s.name.p)
            server_load_take(to, &s);
    } while (s.name.p);
}

static struct server_load read_page(struct str page)
{
    struct server_load l = {.is_known = false};

    take_page(page, &l);
    return l;
}

TEST(server_load_of_vllm)
{
    struct server_load l = read_page(
        STR("# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
            "# TYPE vllm:num_requests_running gauge\n"
            "vllm:num_requests_running{engine=\"0\",model_name=\"Qwen/Qwen3-32B\"} 14.0\n"
            "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"Qwen/Qwen3-32B\"} 3.0\n"
            "# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.\n"
            "# TYPE vllm:kv_cache_usage_perc gauge\n"
            "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"Qwen/Qwen3-32B\"} 0.25\n"
            "# HELP vllm:request_success_total Count of successfully processed requests.\n"
            "# TYPE vllm:request_success_total counter\n"
            "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"Qwen/Qwen3-32B\"} 8231.0\n"
            "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig\n"
            "# TYPE vllm:cache_config_info gauge\n"
            "vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",engine=\"0\",gpu_memory_utilization=\"0.9\","
            "num_cpu_blocks=\"None\",num_gpu_blocks=\"10000\",sliding_window=\"None\"} 1.0\n"));

    CHECK(l.is_known && l.running == 14 && l.waiting == 3);
    CHECK(server_load_cache(&l) == 0.25);
    CHECK(server_load_tokens(&l) == 40000);
}

/* Version 0 has the older names; and data-parallel engines tell each for itself. */
TEST(server_load_of_vllm_s_older_versions_and_several_engines)
{
    struct server_load old = read_page(STR("vllm:num_requests_running{model_name=\"m\"} 2.0\n"
                                           "vllm:num_requests_swapped{model_name=\"m\"} 1.0\n"
                                           "vllm:num_requests_waiting{model_name=\"m\"} 4.0\n"
                                           "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n"
                                           "vllm:cpu_cache_usage_perc{model_name=\"m\"} 0.9\n"));
    struct server_load two = read_page(STR("vllm:num_requests_running{engine=\"0\"} 2.0\n"
                                           "vllm:num_requests_running{engine=\"1\"} 5.0\n"
                                           "vllm:gpu_cache_usage_perc{engine=\"0\"} 0.2\n"
                                           "vllm:gpu_cache_usage_perc{engine=\"1\"} 0.6\n"
                                           "vllm:kv_cache_usage_perc{engine=\"0\"} 0.2\n"
                                           "vllm:kv_cache_usage_perc{engine=\"1\"} 0.6\n"
                                           "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1.0\n"
                                           "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1.0\n"));

    CHECK(old.running == 2 && old.waiting == 5);
    CHECK(server_load_cache(&old) == 0.5);
    CHECK(server_load_tokens(&old) < 0);
    CHECK(two.running == 7);
    CHECK(server_load_cache(&two) > 0.399 && server_load_cache(&two) < 0.401);
    CHECK(server_load_tokens(&two) > 1279 && server_load_tokens(&two) < 1281);
}

TEST(server_load_of_sglang)
{
    struct server_load l =
        read_page(STR("# TYPE sglang:num_running_reqs gauge\n"
                      "sglang:num_running_reqs{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 162.0\n"
                      "sglang:num_used_tokens{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 123859.0\n"
                      "sglang:token_usage{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 0.28\n"
                      "sglang:gen_throughput{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 86.50814177726902\n"
                      "sglang:num_queue_reqs{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 2826.0\n"));

    CHECK(l.running == 162 && l.waiting == 2826);
    CHECK(server_load_tokens(&l) == 123859);
    CHECK(server_load_cache(&l) == 0.28);
}

TEST(server_load_of_text_generation_inference)
{
    struct server_load l = read_page(STR("# TYPE tgi_batch_current_size gauge\n"
                                         "tgi_batch_current_size 5\n\n"
                                         "# TYPE tgi_batch_current_max_tokens gauge\n"
                                         "tgi_batch_current_max_tokens 6024\n\n"
                                         "# TYPE tgi_queue_size gauge\n"
                                         "tgi_queue_size 2\n\n"));

    CHECK(l.is_known && l.running == 5 && l.waiting == 2);
    CHECK(server_load_tokens(&l) == 6024);
    CHECK(server_load_cache(&l) < 0);
}

TEST(server_load_of_llamacpp)
{
    struct server_load l =
        read_page(STR("# HELP llamacpp:requests_processing Number of requests processing.\n"
                      "# TYPE llamacpp:requests_processing gauge\n"
                      "llamacpp:requests_processing 4\n"
                      "# HELP llamacpp:requests_deferred Number of requests deferred.\n"
                      "# TYPE llamacpp:requests_deferred gauge\n"
                      "llamacpp:requests_deferred 7\n"
                      "# HELP llamacpp:kv_cache_usage_ratio KV-cache usage. 1 means 100 percent usage.\n"
                      "# TYPE llamacpp:kv_cache_usage_ratio gauge\n"
                      "llamacpp:kv_cache_usage_ratio 0.75\n"
                      "llamacpp:kv_cache_tokens 3072\n"));

    CHECK(l.running == 4 && l.waiting == 7);
    CHECK(server_load_cache(&l) == 0.75);
    CHECK(server_load_tokens(&l) == 3072);
}

TEST(server_load_of_text_embeddings_inference)
{
    struct server_load l = read_page(STR("# TYPE te_queue_size gauge\nte_queue_size 9\n"));

    CHECK(l.is_known && l.waiting == 9);
}

TEST(server_load_passes_over_what_makes_no_sense)
{
    struct server_load l = read_page(STR("tgi_queue_size NaN\n"
                                         "tgi_batch_current_size +Inf\n"
                                         "tgi_batch_current_size -1\n"
                                         "tgi_batch_current_max_tokens 1e300\n"
                                         "tgi_queue_size_bucket{le=\"1\"} 3\n"
                                         "go_goroutines 12\n"
                                         "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"None\"} 1.0\n"));

    CHECK(!l.is_known && l.running == 0 && l.waiting == 0);
    CHECK(server_load_tokens(&l) < 0 && server_load_cache(&l) < 0);
    l = read_page(STR("vllm:kv_cache_usage_perc 25\n")); /* a share, whatever its name says */
    CHECK(server_load_cache(&l) == 1);
}
