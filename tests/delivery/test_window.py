"""A page is sent no more than it keeps up with, if it says how far it is."""

import asyncio

from chat.delivery.window import UNACKNOWLEDGED_MAX, Window

HALF = UNACKNOWLEDGED_MAX // 2


async def has_room(window: Window, size: int) -> bool:
    waiting = asyncio.create_task(window.wait_for_room(size))
    for _ in range(3):
        await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    return done


async def test_a_page_that_acknowledges_is_waited_for() -> None:
    window = Window()
    window.sent(1, HALF)
    window.acknowledge(0)
    window.sent(2, HALF)
    assert not await has_room(window, 1)
    window.acknowledge(1)
    assert await has_room(window, HALF)
    assert not await has_room(window, HALF + 1)


async def test_who_waits_goes_on_with_the_acknowledgement() -> None:
    window = Window()
    window.acknowledge(0)
    window.sent(1, UNACKNOWLEDGED_MAX)
    waiting = asyncio.create_task(window.wait_for_room(10))
    await asyncio.sleep(0)
    window.acknowledge(1)
    await asyncio.wait_for(waiting, 5)


async def test_a_frame_larger_than_the_window_goes_alone() -> None:
    window = Window()
    window.acknowledge(0)
    assert await has_room(window, UNACKNOWLEDGED_MAX * 3)
    window.sent(1, 10)
    assert not await has_room(window, UNACKNOWLEDGED_MAX * 3)


async def test_a_page_that_never_acknowledges_is_not_held_to_it() -> None:
    window = Window()
    for number in range(1, 10):
        assert await has_room(window, HALF)
        window.sent(number, HALF)


async def test_what_was_sent_before_the_first_acknowledgement_counts() -> None:
    window = Window()
    for number in range(1, 10):
        window.sent(number, HALF)
    window.acknowledge(7)
    assert not await has_room(window, 1)
    window.acknowledge(9)
    assert await has_room(window, 1)
