/// References to managed objects, holds and garbage.
enum Objects {
    static let source = #"""
        local function loadObject(id)
          local packed = call('HGET', base .. ':objects', id)
          if not packed then return nil end
          local count, heldUntil = string.match(packed, '^(%d+):(%-?%d+)$')
          return { count = tonumber(count), heldUntil = tonumber(heldUntil) }
        end

        -- Of another site: those are listed apart.
        local function isForeign(id) return string.sub(id, 1, 5) == 'site:' end

        local function saveObject(id, object)
          if isForeign(id) then call('ZADD', base .. ':foreign', 0, id) end
          call('HSET', base .. ':objects', id, text(object.count) .. ':' .. text(object.heldUntil))
        end

        local function discardIfUnused(id, object)
          if object.count > 0 or object.heldUntil > now then return end
          call('HDEL', base .. ':objects', id)
          if isForeign(id) then call('ZREM', base .. ':foreign', id) end
          call('ZREM', base .. ':due:holds', id)
          call('ZADD', base .. ':garbage', 0, id)
        end

        local function pin(ids)
          if not ids then return end
          for _, id in ipairs(ids) do
            call('ZREM', base .. ':garbage', id)
            local object = loadObject(id) or { count = 0, heldUntil = 0 }
            object.count = object.count + 1
            saveObject(id, object)
          end
        end

        local function unpin(ids)
          if not ids then return end
          for _, id in ipairs(ids) do
            local object = loadObject(id)
            if object then
              object.count = math.max(0, object.count - 1)
              saveObject(id, object)
              discardIfUnused(id, object)
            end
          end
        end

        local function hold(id, untilTime)
          local object = loadObject(id) or { count = 0 }
          object.heldUntil = untilTime
          saveObject(id, object)
          call('ZREM', base .. ':garbage', id)
          if untilTime > now then
            call('ZADD', base .. ':due:holds', untilTime, id)
          else
            call('ZREM', base .. ':due:holds', id)
          end
          discardIfUnused(id, object)
        end

        -- What is kept for other sites: each keep is one more pin, of a holder and for a time.
        local function keepKey(holder, id) return holder .. '\0' .. id end

        local function endKeep(id, holder)
          if call('ZREM', base .. ':keeps:' .. holder, id) == 0 then return end
          call('ZREM', base .. ':due:keeps', keepKey(holder, id))
          unpin({ id })
        end

        -- Never shortens what was promised.
        local function keep(id, holder, untilTime)
          if not loadObject(id) then return false end
          local keeps = base .. ':keeps:' .. holder
          local known = tonumber(call('ZSCORE', keeps, id) or nil)
          if not known then
            if call('ZCARD', keeps) >= limits.keepsMax then return false end
            pin({ id })
          end
          local keptUntil = text(math.max(known or untilTime, untilTime))
          call('ZADD', keeps, keptUntil, id)
          call('ZADD', base .. ':due:keeps', keptUntil, keepKey(holder, id))
          return true
        end

        local function extendHolds(ids, untilTime)
          if not ids then return end
          for _, id in ipairs(ids) do
            local object = loadObject(id)
            if not object or object.heldUntil < untilTime then hold(id, untilTime) end
          end
        end

        """#
}
