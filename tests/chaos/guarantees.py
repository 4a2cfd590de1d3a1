"""What Sluice guarantees, and the tests that prove each guarantee without chaos around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guarantee:
    """`tests` are `file::test` below `tests/`."""

    text: str
    tests: tuple[str, ...]


GUARANTEES = (
    Guarantee(
        "Work is published in the transaction of the change that calls for it, or not at all.",
        (
            "integration/test_publishing.py::test_publish_is_seen_by_others_only_at_the_commit",
            "outbox/test_services.py::test_publish_outside_a_transaction_is_refused",
        ),
    ),
    Guarantee(
        "A request that is repeated with its idempotency key makes one application.",
        (
            "applications/test_idempotency.py::test_the_same_request_again_gets_the_same_answer",
            "applications/test_idempotency_races.py::test_many_requests_at_the_same_moment_make_one_application",
        ),
    ),
    Guarantee(
        "A row has one worker at a time. One that has lost its lease changes nothing.",
        (
            "integration/test_leases.py::test_workers_at_once_with_the_same_id_one_gets_the_row",
            "integration/test_leases.py::test_outcome_of_a_worker_that_has_lost_its_lease_changes_nothing",
            "integration/test_stopping.py::test_worker_that_comes_back_from_the_dead_changes_nothing",
        ),
    ),
    Guarantee(
        "A handler's effects in the database and `delivered` are committed together.",
        (
            "outbox/test_delivery_success.py::test_deliver_commits_the_effects_of_finish_with_the_outcome",
            "integration/test_broken_connections.py::test_outcome_is_written_once_although_nobody_told_whether_the_commit_took_place",
        ),
    ),
    Guarantee(
        "Every attempt counts, also one that kills its process: a poisonous row becomes a dead letter.",
        (
            "outbox/test_repair_expire_leases.py::test_expire_leases_with_attempts_used_up_makes_a_stalled_dead_letter",
        ),
    ),
    Guarantee(
        "What Redis loses is queued again from the rows, and uses no attempt.",
        (
            "outbox/test_repair_recover_lost.py::test_recover_lost_after_redis_lost_its_data_uses_no_attempt",
            "integration/test_redis_loss.py::test_backlog_is_delivered_once_although_redis_loses_everything",
            "integration/test_two_relays.py::test_relays_at_once_bring_back_all_that_redis_lost",
        ),
    ),
    Guarantee(
        "A charge is made once: what is asked of the provider carries the same key in every attempt.",
        (
            "payments/test_checkout.py::test_a_process_that_dies_after_the_provider_has_answered_makes_no_second_checkout",
            "payments/test_events.py::test_an_event_that_is_applied_twice_has_one_effect",
        ),
    ),
    Guarantee(
        "A mail goes out once for its occasion. If a process dies between the server's acceptance and "
        "our commit it is sent again, with the same Message-ID.",
        (
            "notifications/test_mails.py::test_mail_of_an_occasion_goes_out_once",
            "notifications/test_crash.py::test_mail_of_a_killed_process_is_sent_again_with_the_same_message_id",
        ),
    ),
    Guarantee(
        "A cluster that is told to stop ends its attempts or gives them back, and begins no other.",
        (
            "integration/test_stopping.py::test_cluster_that_is_told_to_stop_under_load_repeats_nothing",
            "integration/test_stopping.py::test_cluster_that_is_told_to_stop_gives_back_the_row_of_a_handler_that_hangs",
            "outbox/test_delivery_breaker.py::test_deliver_that_is_given_back_returns_the_attempt_and_is_due_at_once",
        ),
    ),
    Guarantee(
        "Urgent work starts before all other work of its queue, however much waits.",
        (
            "integration/test_priorities.py::test_critical_row_starts_next_however_many_others_are_worked_off",
            "outbox/test_relay_tick.py::test_tick_finds_room_for_a_critical_row_in_a_window_full_of_others",
            "outbox/test_relay_move_due.py::test_move_due_takes_the_most_urgent_rows_first",
        ),
    ),
    Guarantee(
        "Nothing starves: a row that has been due for 60 s also competes for every tenth start of "
        "each worker, oldest first.",
        (
            "integration/test_priorities.py::test_aged_row_starts_while_an_endless_stream_of_urgent_rows_goes_on",
            "outbox/test_relay_move_aged.py::test_move_aged_takes_the_oldest_first_whatever_their_priority",
        ),
    ),
    Guarantee(
        "A paused queue starts nothing, also after a restart; a queue whose provider is away stops by "
        "itself, and its probes cost no attempt.",
        (
            "integration/test_holds.py::test_rows_of_a_paused_queue_wait_over_a_restart_until_it_is_resumed",
            "integration/test_holds.py::test_pause_stops_new_starts_at_once_while_a_backlog_is_worked_off",
            "integration/test_holds.py::test_breaker_opens_saves_attempts_and_closes_when_the_provider_is_back",
        ),
    ),
    Guarantee(
        "Attempts of a rate-limited queue begin at least 1 / rate apart, over all workers.",
        ("integration/test_holds.py::test_starts_of_a_rate_limited_queue_keep_their_distance",),
    ),
    Guarantee(
        "A cluster that looks alive and does nothing is restarted.",
        (
            "integration/test_wedged_clusters.py::test_cluster_whose_idle_workers_were_killed_delivers_again",
        ),
    ),
    Guarantee(
        "A status that was shown is never followed by an older one.",
        (
            "applications/test_read_model.py::test_a_reader_that_read_before_the_commit_cannot_bring_the_old_state_back",
        ),
    ),
)
