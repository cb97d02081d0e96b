from __future__ import annotations

import asyncio

from chatagent.cancel import cancel


def test_a_cancellation_that_was_lost_is_repeated() -> None:
    async def test() -> None:
        heard: list[str] = []

        async def loses(count: int) -> None:
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    heard.append("cancelled")
                    if len(heard) > count:
                        raise

        async def fails() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                raise ValueError

        tasks = [asyncio.create_task(loses(1)), asyncio.create_task(fails()), asyncio.create_task(asyncio.sleep(0))]
        await asyncio.sleep(0)
        await cancel(tasks)
        assert len(heard) == 2
        assert [task.done() for task in tasks] == [True] * 3

    asyncio.run(asyncio.wait_for(test(), 30))


def test_nothing_to_cancel_is_fine() -> None:
    asyncio.run(cancel([]))
