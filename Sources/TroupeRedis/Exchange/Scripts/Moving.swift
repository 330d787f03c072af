/// Actors on their way to another site.
enum Moving {
    /// What readiness and leases have to know of it.
    static let source = #"""
        local function isLeaving(actor)
          local move = actor.live.move
          return move and move.phase == 'leaving'
        end

        -- Whether the endpoint has its mailbox, and no worker.
        local function isCarried(actor)
          local move = actor.live.move
          return move and (move.phase == 'away' or move.phase == 'moved')
        end

        local function queueOf(actor) return isCarried(actor) and limits.carrierQueue or actor.fixed.queue end

        -- Whether somebody is to have it.
        local function hasWork(actor)
          local live = actor.live
          local phase = live.move and live.move.phase
          if phase == 'away' then return true end
          return live.count > 0 or (live.wants and phase ~= 'leaving' and phase ~= 'moved')
        end

        local function describeMove(actor)
          local move = actor.live.move
          return move and { move.site, move.number, move.phase, move.reason or false } or false
        end

        -- The move by which it last came from that site.
        local function arrivalFrom(actor, site) return actor.live.arrivals and actor.live.arrivals[site] end

        -- What has been delivered may have begun, and is to end under the same ids.
        local function noteBegun(actor, lease)
          if lease.outstanding == 0 or isCarried(actor) then return end
          actor.live.begun, actor.isChanged = math.max(actor.live.begun or 0, lease.upTo), true
        end

        local function endLease(actor)
          local live, queue = actor.live, queueOf(actor)
          local lease = live.lease
          if not lease then return end
          noteBegun(actor, lease)
          live.lease, actor.isChanged = nil, true
          -- Its worker has room again.
          quietRings = {}
          flushGranted()
          call('HINCRBY', base .. ':active', queue, -1)
          if goneWorkers[lease.worker] then return end
          call('ZREM', base .. ':held:' .. lease.worker, actor.key)
          call('HINCRBY', base .. ':worker:' .. lease.worker, 'queue:' .. queue, -1)
        end

        local function applyTimer(change, actor)
          local key, member = base .. ':timers:' .. actor.key, actor.key .. '\0' .. change.name
          local packed = call('HGET', key, change.name)
          local old = packed and cmsgpack.unpack(packed)
          if change.method then
            local timer = {
              fireAt = now + change.after, interval = change.interval, method = change.method,
              arguments = blob(change.blob), lastFiring = old and old.lastFiring or 0, refs = change.refs,
            }
            pin(timer.refs)
            call('HSET', key, change.name, cmsgpack.pack(timer))
            if not isCarried(actor) then call('ZADD', base .. ':due:timers', timer.fireAt, member) end
          elseif old then
            call('HDEL', key, change.name)
            call('ZREM', base .. ':due:timers', member)
          end
          if old then unpin(old.refs) end
          actor.live.timers, actor.isChanged = true, true
        end

        """#

    static let operations = #"""
        local operations = {}

        -- Lets an actor go on here.
        local function stay(actor, move)
          actor.live.move, actor.isChanged = move, true
          local packed = actor.live.timers and call('HGETALL', base .. ':timers:' .. actor.key) or {}
          for index = 1, #packed, 2 do
            call('ZADD', base .. ':due:timers', cmsgpack.unpack(packed[index + 1]).fireAt,
              actor.key .. '\0' .. packed[index])
          end
          deliverMore(actor)
          updateReadiness(actor)
        end

        -- Sends an actor to another site: nothing new begins from now on, and what has begun ends here, since the calls
        -- of a turn bear this site's ids. Without a site, takes that back, as long as the actor is here.
        function operations.divert(actor)
          local live = actor.live
          if not request.site then
            if isLeaving(actor) then stay(actor, nil) end
          elseif not live.move or live.move.phase == 'refused' then
            if live.lease then noteBegun(actor, live.lease) end
            -- One that goes back first ends all that its old record has forwarded; no more of that is taken from now on.
            if arrivalFrom(actor, request.site) then live.begun = live.last end
            live.move = { site = request.site, number = nextCounter(), phase = 'leaving' }
            actor.isChanged = true
            updateReadiness(actor)
          end
          return { describeMove(actor) }
        end

        -- The endpoint that holds the mailbox has heard from the other site.
        function operations.endMove(actor)
          local live = actor.live
          local move, lease = live.move, live.lease
          if not move or move.phase ~= 'away' or not lease or lease.worker ~= request.worker
            or lease.epoch ~= request.epoch then
            return { describeMove(actor) }
          end
          if request.refusal then
            voidActivation(actor)
            move.phase, move.reason = 'refused', blob(request.refusal)
            stay(actor, move)
          else
            local forwarder = live.forwarders and live.forwarders[move.site]
            if forwarder then
              for _, id in ipairs(call('ZRANGE', base .. ':owed:' .. text(forwarder), 0, -1)) do letGo(id, forwarder) end
              live.forwarders[move.site] = nil
            end
            -- What went along with it is kept by the record that stays.
            local refs = stateReferences(actor)
            for _, packed in ipairs(live.timers and call('HVALS', base .. ':timers:' .. actor.key) or {}) do
              for _, id in ipairs(cmsgpack.unpack(packed).refs or {}) do table.insert(refs, id) end
            end
            move.phase, live.wants, live.timers, actor.isChanged = 'moved', nil, nil, true
            live.refers = #refs > 0 or nil
            actor.state = #refs > 0 and { 'state', '', 'refs', cmsgpack.pack(refs) } or { 'state', '' }
            call('DEL', base .. ':timers:' .. actor.key)
          end
          return { describeMove(actor) }
        end

        function serve.moving()
          local actor = string.sub(request.key, 1, 1) ~= '@' and loadActor(request.key)
          return actor and operations[request.operation](actor) or 'noactor'
        end
        """#
}
